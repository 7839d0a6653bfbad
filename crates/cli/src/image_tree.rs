//! `images --tree`: every name with the platforms below it.

use corten_engine::image::{Tree, TreeImage};
use corten_model::{Reference, bytes};

/// What stands for a name that isn't there.
const UNTAGGED: &str = "<untagged>";
/// In the last column: containers were made of it.
const IN_USE: &str = "U";

/// The table of names and platforms.
pub fn table(trees: &[Tree], no_trunc: bool) -> Vec<Vec<String>> {
    let heading = ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "IN USE"];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    let id = |digest: &corten_model::Digest| match no_trunc {
        true => digest.to_string(),
        false => digest.short().to_owned(),
    };
    for tree in trees {
        let here: Vec<&TreeImage> = tree.platforms.iter().filter_map(|p| p.image.as_ref()).collect();
        let disk = here.iter().map(|image| image.size_bytes).sum();
        let content = here.iter().map(|image| image.content_bytes).sum();
        let in_use = here.iter().any(|image| image.in_use);
        let names: Vec<String> = match tree.names.is_empty() {
            true => vec![UNTAGGED.to_owned()],
            false => tree.names.iter().map(Reference::familiar).collect(),
        };
        for name in names {
            table.push(row(name, id(&tree.digest), disk, content, in_use));
        }
        for (position, below) in tree.platforms.iter().enumerate() {
            let branch = if position + 1 == tree.platforms.len() { "└─" } else { "├─" };
            let name = format!("{branch} {}", below.platform);
            let (disk, content, in_use) =
                below.image.as_ref().map_or((0, 0, false), |i| (i.size_bytes, i.content_bytes, i.in_use));
            table.push(row(name, id(&below.digest), disk, content, in_use));
        }
    }
    table
}

fn row(name: String, id: String, disk: u64, content: u64, in_use: bool) -> Vec<String> {
    let in_use = if in_use { IN_USE } else { "" };
    vec![name, id, bytes::human(disk), bytes::human(content), in_use.to_owned()]
}

#[cfg(test)]
mod tests {
    use corten_engine::image::TreePlatform;
    use corten_model::Digest;

    use super::*;

    #[test]
    fn platforms_hang_below_names() {
        let image = TreeImage { size_bytes: 10_600_000, content_bytes: 3_370_000, in_use: true };
        let platform = |text: &str, byte, image| TreePlatform {
            platform: text.parse().unwrap(),
            digest: Digest::from_sha256([byte; 32]),
            image,
        };
        let trees = [Tree {
            names: vec!["alpine".parse().unwrap()],
            digest: Digest::from_sha256([0xbe; 32]),
            platforms: vec![platform("linux/amd64", 0x33, Some(image)), platform("linux/arm/v6", 0x50, None)],
        }];
        let lines = table(&trees, false);
        assert_eq!(lines[1], ["alpine:latest", "bebebebebebe", "10.6MB", "3.37MB", "U"]);
        assert_eq!(lines[2], ["├─ linux/amd64", "333333333333", "10.6MB", "3.37MB", "U"]);
        assert_eq!(lines[3], ["└─ linux/arm/v6", "505050505050", "0B", "0B", ""]);
    }
}
