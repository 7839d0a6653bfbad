//! Rows for unit tests.

use corten_model::container::ContainerConfig;
use corten_model::{ContainerId, SandboxId};

use crate::Result;
use crate::db::containers::{self, Container, State};
use crate::db::{Database, sandboxes};

/// A container that is to run, with an image, a sandbox and ids of its own, all made of `byte`.
pub fn insert_container(database: &mut Database, byte: u8, auto_remove: bool) -> ContainerId {
    let id = ContainerId::from_bytes([byte; 32]);
    let image = corten_model::Digest::from_sha256([byte; 32]);
    let sandbox = SandboxId::from_bytes([byte; 32]);
    let container = Container {
        id: id.clone(),
        name: format!("name-{byte}").parse().unwrap(),
        image: "image".into(),
        image_id: image.clone(),
        sandbox: sandbox.clone(),
        config: ContainerConfig { auto_remove, ..Default::default() },
        command: vec!["true".into()],
        host_powers: Vec::new(),
        state: State::created(),
        created_ns: 1,
        journal_offset: 0,
    };
    let inserted = database.write(|t| -> Result<()> {
        let insert = "INSERT INTO images (id, manifest, config, layers, size_bytes, high_ids, created_ns)
            VALUES (?1, ?1, '{}', '[]', 0, 0, 0)";
        crate::db::doing("insert an image", t.execute(insert, [image.as_str()]))?;
        let pool = sandboxes::Pool { range: sandboxes::POOL, taken: Vec::new() };
        let found = sandboxes::find_range(t, &sandbox, 1, &pool, |_| Ok::<_, crate::Error>(Some(())))?;
        sandboxes::insert(t, &sandbox, found.map(|(range, ())| range), 1)?;
        assert!(containers::insert(t, &container, true)?);
        Ok(())
    });
    inserted.unwrap();
    id
}
