//! What the configuration gives to a container that doesn't say otherwise: pure.
//!
//! It becomes part of what was asked for when the container is made: a later change of the configuration doesn't change
//! a container that is there.

use corten_model::container::ContainerConfig;
use corten_model::security::SecurityOpt;

use crate::config::ContainerDefaults;

/// Completes what was typed.
pub fn fill(config: &mut ContainerConfig, defaults: &ContainerDefaults) {
    if config.shm_size_bytes == 0 {
        config.shm_size_bytes = defaults.shm_size_bytes;
    }
    if config.init.is_none() && defaults.init {
        config.init = Some(true);
    }
    if config.resources.pids_limit.is_none() && defaults.pids_limit > 0 {
        config.resources.pids_limit = Some(defaults.pids_limit);
    }
    for limit in &defaults.ulimits {
        if config.ulimits.iter().all(|typed| typed.name != limit.name) {
            config.ulimits.push(limit.clone());
        }
    }
    // What was typed comes later, so it counts.
    config.env.splice(0..0, defaults.env.iter().cloned());
    let says = |option: &SecurityOpt| matches!(option, SecurityOpt::NoNewPrivileges(_));
    if defaults.no_new_privileges && !config.privileged && !config.security.iter().any(says) {
        config.security.push(SecurityOpt::NoNewPrivileges(true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_was_typed_goes_before_the_configuration() {
        let mut defaults = Config::default().container;
        defaults.pids_limit = 100;
        defaults.shm_size_bytes = 1 << 20;
        defaults.ulimits = vec!["core=0".parse().unwrap(), "nofile=5".parse().unwrap()];
        defaults.env = vec!["A=1".into(), "B=1".into()];
        defaults.no_new_privileges = true;
        defaults.init = true;
        let mut plain = ContainerConfig::default();
        fill(&mut plain, &defaults);
        assert_eq!((plain.shm_size_bytes, plain.resources.pids_limit), (1 << 20, Some(100)));
        assert_eq!((plain.ulimits, plain.env), (defaults.ulimits.clone(), defaults.env.clone()));
        assert_eq!((plain.security, plain.init), (vec![SecurityOpt::NoNewPrivileges(true)], Some(true)));
        let mut typed = ContainerConfig {
            shm_size_bytes: 5,
            init: Some(false),
            ulimits: vec!["nofile=7".parse().unwrap()],
            env: vec!["A=2".into()],
            security: vec![SecurityOpt::NoNewPrivileges(false)],
            ..ContainerConfig::default()
        };
        typed.resources.pids_limit = Some(-1);
        fill(&mut typed, &defaults);
        assert_eq!((typed.shm_size_bytes, typed.resources.pids_limit), (5, Some(-1)));
        assert_eq!(typed.init, Some(false));
        assert_eq!(typed.ulimits.iter().map(|limit| limit.soft).collect::<Vec<_>>(), [7, 0]);
        assert_eq!(typed.env, ["A=1", "B=1", "A=2"]);
        assert_eq!(typed.security, [SecurityOpt::NoNewPrivileges(false)]);
    }
}
