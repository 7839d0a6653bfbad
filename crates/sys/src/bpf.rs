//! bpf(2): loading and attaching a device program.
