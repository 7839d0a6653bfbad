//! Cgroups of version 1, 2 and hybrid.
