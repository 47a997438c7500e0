"""The pages on the gateway itself, for the people of the shop: what every sensor says, what is wrong, what to do.

A process of its own. It knows the gateway only by its unix socket and the settings file, so either may stop, start or
be replaced while the other goes on.
"""
