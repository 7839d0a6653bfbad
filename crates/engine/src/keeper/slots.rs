//! Things that come and go, under keys that are never reused: an event for one that is gone finds nothing.

/// Where a thing is and which of the things that were there it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The key in 56 bits.
    pub fn bits(self) -> u64 {
        u64::from(self.index) | (u64::from(self.generation) << 32)
    }

    /// The key whose bits these are.
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: ((bits >> 32) & 0xff_ffff) as u32 }
    }
}

/// The things.
pub struct Slots<T> {
    slots: Vec<(u32, Option<T>)>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Puts a thing in.
    pub fn insert(&mut self, value: T) -> Key {
        let index = self.slots.iter().position(|(_, v)| v.is_none()).unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.0 = (slot.0 + 1) & 0xff_ffff;
        slot.1 = Some(value);
        Key { index: index as u32, generation: slot.0 }
    }

    /// The thing of this key.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.0 == key.generation { slot.1.as_mut() } else { None }
    }

    /// The thing of this key.
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.0 == key.generation { slot.1.as_ref() } else { None }
    }

    /// Takes the thing out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.0 == key.generation { slot.1.take() } else { None }
    }

    /// Keys of all things.
    pub fn keys(&self) -> Vec<Key> {
        let key = |(index, slot): (usize, &(u32, Option<T>))| {
            slot.1.as_ref().map(|_| Key { index: index as u32, generation: slot.0 })
        };
        self.slots.iter().enumerate().filter_map(key).collect()
    }

    /// All things.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|(_, value)| value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_what_is_gone_finds_nothing() {
        let mut slots = Slots::default();
        let first = slots.insert('a');
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert('b');
        assert_eq!((slots.get(first), slots.get(second)), (None, Some(&'b')));
        assert_eq!(Key::from_bits(second.bits()), second);
        assert_eq!(slots.keys(), [second]);
    }
}
