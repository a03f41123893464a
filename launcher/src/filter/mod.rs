//! The system call filter: policy files in, BPF out.
