"""The scan page: start, look through the camera, see how far it is, turn the model, take it away. For staff only.

A process of its own (`golmok-scan serve`). The stages run as commands in processes of theirs, so that the page can
neither be slowed down by them nor take them down; the page knows of them what anybody sees who types them.
"""
