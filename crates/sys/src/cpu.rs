//! What this machine's processor can do, as far as images come in variants for it.

/// The level of the x86-64 psABI, 1 to 4, that programs may use here; `None`: another architecture.
#[cfg(target_arch = "x86_64")]
pub fn amd64_level() -> Option<u8> {
    macro_rules! all {
        ($($feature:tt),+) => { $(std::arch::is_x86_feature_detected!($feature))&&+ };
    }
    if !all!("sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cmpxchg16b") {
        return Some(1);
    }
    if !all!("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe") {
        return Some(2);
    }
    Some(if all!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl") { 4 } else { 3 })
}

/// The level of the x86-64 psABI, 1 to 4, that programs may use here; `None`: another architecture.
#[cfg(not(target_arch = "x86_64"))]
pub fn amd64_level() -> Option<u8> {
    None
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn every_machine_has_a_level() {
        assert!((1..=4).contains(&super::amd64_level().unwrap()));
    }
}
