//! Names for containers that were given none: an adjective and a metal, easy to say and to tell apart.

use corten_model::{ContainerId, Name};

const ADJECTIVES: [&str; 64] = [
    "able", "amber", "ample", "bold", "brave", "brief", "bright", "brisk", "calm", "candid", "clear",
    "clever", "cosy", "crisp", "daring", "deft", "eager", "early", "easy", "fair", "fancy", "firm", "fleet",
    "fond", "fresh", "gentle", "glad", "grand", "green", "happy", "hardy", "honest", "humble", "jolly",
    "keen", "kind", "light", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mild", "modest",
    "neat", "nimble", "noble", "plain", "polite", "proud", "quick", "quiet", "rapid", "ready", "sharp",
    "silent", "smart", "solid", "steady", "sunny", "swift", "tidy", "warm",
];
const METALS: [&str; 64] = [
    "alloy", "anvil", "argon", "axle", "barium", "beam", "bearing", "boiler", "bolt", "brass", "bronze",
    "carbon", "cesium", "chain", "chrome", "cobalt", "coil", "copper", "crane", "dowel", "ferrite", "flange",
    "forge", "furnace", "galena", "gasket", "gear", "gold", "hammer", "hinge", "indium", "ingot", "iron",
    "latch", "lathe", "lead", "lever", "lithium", "magnet", "mercury", "nickel", "niobium", "osmium",
    "pewter", "pinion", "piston", "platinum", "pulley", "radium", "rhodium", "rivet", "rotor", "silver",
    "sodium", "solder", "spring", "steel", "tin", "titanium", "tungsten", "valve", "vanadium", "washer",
    "zinc",
];

/// A name drawn from the id's last digits; the `attempt`th one, for when the first ones are in use.
pub fn for_id(id: &ContainerId, attempt: u32) -> Name {
    let digits = &id.as_str()[56..];
    let seed = u32::from_str_radix(digits, 16)
        .expect("an id is hex")
        .wrapping_add(attempt.wrapping_mul(0x9e37_79b9));
    let (adjective, metal) = (ADJECTIVES[(seed % 64) as usize], METALS[(seed / 64 % 64) as usize]);
    let suffix = if attempt < 3 { String::new() } else { (seed / 4096 % 10_000).to_string() };
    format!("{adjective}_{metal}{suffix}").parse().expect("words are names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_differ_until_there_is_a_free_name() {
        let id = ContainerId::from_bytes([9; 32]);
        let names: std::collections::HashSet<_> = (0..100).map(|n| for_id(&id, n)).collect();
        assert!(names.len() > 90, "{}", names.len());
    }
}
