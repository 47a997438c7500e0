"""The slow ring of Bluetooth: the gateway with a real bluetoothd and a real kernel, in a machine that QEMU makes.

`scripts/test-bluez` runs `python -m tests.bluez`. `image` makes what the machine starts from, `guest` is what runs in
it, `controller` the simulated radio that its kernel talks to. Only `test_verdict` is for pytest: the ring takes
minutes.
"""
