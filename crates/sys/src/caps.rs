//! Capabilities of the calling thread, as sets of bits: capability 0 is the lowest.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// CAP_SYS_ADMIN as a bit.
pub const SYS_ADMIN: u64 = 1 << 21;
/// CAP_SYS_RESOURCE as a bit.
pub const SYS_RESOURCE: u64 = 1 << 24;

/// The three sets that capset(2) sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// What the thread may do now.
    pub effective: u64,
    /// What it may take into the effective set.
    pub permitted: u64,
    /// What lives through execve, together with the file's own.
    pub inheritable: u64,
}

/// The sets of the calling thread.
pub fn get() -> Result<Sets, Errno> {
    let sets = rustix::thread::capabilities(None)?;
    Ok(Sets {
        effective: sets.effective.bits(),
        permitted: sets.permitted.bits(),
        inheritable: sets.inheritable.bits(),
    })
}

/// Sets the three sets of the calling thread. The kernel drops ambient ones that are no more both permitted and
/// inheritable.
pub fn set(sets: Sets) -> Result<(), Errno> {
    let bits = CapabilitySet::from_bits_retain;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: bits(sets.effective),
            permitted: bits(sets.permitted),
            inheritable: bits(sets.inheritable),
        },
    )
}

/// Drops from the bounding set everything that isn't in `keep`, also what this build has no name for. Returns
/// what is left.
pub fn limit_bounding(keep: u64) -> Result<u64, Errno> {
    let mut left = 0;
    for number in 0..u64::BITS {
        let bit = 1u64 << number;
        let one = CapabilitySet::from_bits_retain(bit);
        let kept = if keep & bit == 0 {
            rustix::thread::remove_capability_from_bounding_set(one).map(|()| false)
        } else {
            rustix::thread::capability_is_in_bounding_set(one)
        };
        match kept {
            Ok(true) => left |= bit,
            Ok(false) => {}
            Err(Errno::INVAL) => break, // past the last capability of this kernel
            Err(errno) => return Err(errno),
        }
    }
    Ok(left)
}

/// Makes the ambient set exactly `bits`, which must be permitted and inheritable.
pub fn set_ambient(bits: u64) -> Result<(), Errno> {
    rustix::thread::clear_ambient_capability_set()?;
    for number in (0..u64::BITS).filter(|n| bits & (1 << n) != 0) {
        let one = CapabilitySet::from_bits_retain(1 << number);
        rustix::thread::configure_capability_in_ambient_set(one, true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_up_what_it_has() {
        let (left, sets) = std::thread::spawn(|| {
            let left = limit_bounding(0b11).unwrap();
            set(Sets { effective: 0b1, permitted: 0b11, inheritable: 0 }).unwrap();
            (left, get().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!(left, 0b11);
        assert_eq!(sets, Sets { effective: 0b1, permitted: 0b11, inheritable: 0 });
    }
}
