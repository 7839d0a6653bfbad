//! What a kernel can do for containers beyond what all supported ones can: pure, by its release.

use serde_json::{Value, json};

/// What it is, and the release that brought it.
const FEATURES: [(&str, (u32, u32)); 4] = [
    ("idmapped layers and volumes", (5, 19)),
    ("idmapped mounts of tmpfs", (6, 3)),
    ("layers without paths", (6, 15)),
    ("exit codes of adopted containers", (6, 15)),
];

/// Each of them, whether a kernel of this release has it, and since when kernels do.
pub fn of_release(release: (u32, u32)) -> Value {
    let feature = |(name, since): (&str, (u32, u32))| json!({ "Name": name, "Available": release >= since, "Since": format!("{}.{}", since.0, since.1) });
    Value::Array(FEATURES.map(feature).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_kernel_has_fewer() {
        let count = |release| {
            let features = of_release(release);
            features.as_array().unwrap().iter().filter(|feature| feature["Available"] == true).count()
        };
        assert_eq!([(5, 15), (6, 1), (6, 12), (6, 18)].map(count), [0, 1, 2, 4]);
    }
}
