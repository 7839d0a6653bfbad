//! Loading a seccomp filter.
