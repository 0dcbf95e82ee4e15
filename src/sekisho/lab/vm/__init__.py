"""A small virtual machine with Debian's own kernel: a program in, its lines out.

The machine's root is this machine's, for reading only, so what is installed here runs there. That
gives tests and measurements a kernel with IPVS whatever this machine's own is. A `Machine` needs qemu when it
boots; nothing here does when it is imported.
"""
