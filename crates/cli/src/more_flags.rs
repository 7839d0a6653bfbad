//! Those flags of `run` and `create` that few containers need: names and servers, logs, groups, annotations.

use std::net::IpAddr;
use std::path::PathBuf;

use corten_model::Invalid;
use corten_model::cgroup::CgroupParent;
use corten_model::container::{MoreConfig, StreamName};
use corten_model::device::CgroupRule;
use corten_model::duration::parse_duration;
use corten_model::health::HealthConfig;
use corten_model::hosts::{self, ExtraHost};
use corten_model::log::{LogConfig, LogDriver};
use corten_model::port;
use corten_model::restart::RestartPolicy;
use corten_model::user::IdOrName;

use crate::error::{Failure, Result};
use crate::key_values;

// No doc comment: clap would take it for the help of the command that these flags are part of.
#[derive(clap::Args, Debug, Default)]
pub struct MoreFlags {
    /// Attach to STDIN, STDOUT or STDERR
    #[arg(short, long, value_name = "STREAM")]
    attach: Vec<StreamName>,
    /// Add an annotation to the container (passed through to the OCI runtime)
    #[arg(long, value_name = "KEY[=VALUE]")]
    annotation: Vec<String>,
    /// Write the container ID to the file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// Container NIS domain name
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// Add additional groups to join
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<IdOrName>,
    /// Add a rule to the cgroup allowed devices list: 'c 1:3 mr'
    #[arg(long, value_name = "RULE")]
    device_cgroup_rule: Vec<CgroupRule>,
    /// Optional parent cgroup for the container, below Corten's own
    #[arg(long, value_name = "GROUP")]
    cgroup_parent: Option<String>,
    /// Logging driver for the container: json-file, local or none
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<LogDriver>,
    /// Log driver options
    #[arg(long, value_name = "KEY=VALUE")]
    log_opt: Vec<String>,
    /// Set custom DNS servers
    #[arg(long, value_name = "ADDRESS", value_parser = hosts::parse_dns)]
    dns: Vec<IpAddr>,
    /// Set DNS options
    #[arg(long, alias = "dns-opt", value_name = "OPTION", value_parser = hosts::parse_dns_option)]
    dns_option: Vec<String>,
    /// Set custom DNS search domains
    #[arg(long, value_name = "DOMAIN", value_parser = hosts::parse_dns_search)]
    dns_search: Vec<String>,
    /// Add a custom host-to-IP mapping: NAME:ADDRESS
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<ExtraHost>,
    /// Expose a port or a range of ports
    #[arg(long, value_name = "PORT")]
    expose: Vec<String>,
    /// Container isolation technology: default
    #[arg(long, value_name = "TECHNOLOGY")]
    isolation: Option<String>,
    /// Restart policy to apply when a container exits: no, always, unless-stopped or on-failure[:COUNT]
    #[arg(long, value_name = "POLICY")]
    restart: Option<RestartPolicy>,
    /// Command to run to check health
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between running the check (ms|s|m|h) (default 30s)
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    health_interval: Option<i64>,
    /// Consecutive failures needed to report unhealthy (default 3)
    #[arg(long, value_name = "NUMBER")]
    health_retries: Option<i64>,
    /// Time between running the check during the start period (ms|s|m|h) (default 5s)
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    health_start_interval: Option<i64>,
    /// Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    health_start_period: Option<i64>,
    /// Maximum time to allow one check to run (ms|s|m|h) (default 30s)
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    health_timeout: Option<i64>,
    /// Disable any container-specified HEALTHCHECK
    #[arg(long)]
    no_healthcheck: bool,
}

/// Nanoseconds, as Docker's configs have them.
fn interval(text: &str) -> std::result::Result<i64, Invalid> {
    if text.starts_with('-') {
        return Err(Invalid::new("duration", text, "it cannot be negative"));
    }
    let duration = parse_duration("duration", text)?;
    i64::try_from(duration.as_nanos()).map_err(|_| Invalid::new("duration", text, "it is too long"))
}

impl MoreFlags {
    fn health(&self) -> Result<Option<HealthConfig>> {
        let command = self.health_cmd.as_ref().filter(|command| !command.is_empty());
        let asked = HealthConfig {
            test: command.map(|command| vec!["CMD-SHELL".to_owned(), command.clone()]).unwrap_or_default(),
            interval: self.health_interval.unwrap_or_default(),
            timeout: self.health_timeout.unwrap_or_default(),
            start_period: self.health_start_period.unwrap_or_default(),
            start_interval: self.health_start_interval.unwrap_or_default(),
            retries: self.health_retries.unwrap_or_default(),
        };
        let some = Some(asked).filter(|asked| *asked != HealthConfig::default());
        match (self.no_healthcheck, some) {
            (false, some) => Ok(some),
            (true, None) => Ok(Some(HealthConfig { test: vec!["NONE".into()], ..HealthConfig::default() })),
            (true, Some(_)) => Err(Failure::Conflict("--no-healthcheck conflicts with --health-* options")),
        }
    }

    /// Where the container's id is written.
    pub fn cidfile(&self) -> Option<&PathBuf> {
        self.cidfile.as_ref()
    }

    /// What they ask for.
    pub fn config(self) -> Result<MoreConfig> {
        let pairs = |what, texts: &[String]| {
            texts.iter().map(|text| key_values::pair(what, text)).collect::<std::result::Result<_, Invalid>>()
        };
        let mut exposed_ports = std::collections::BTreeSet::new();
        for text in &self.expose {
            exposed_ports.extend(port::parse_expose(text)?);
        }
        let driver = self.log_driver.unwrap_or_default();
        if driver == LogDriver::None && !self.log_opt.is_empty() {
            return Err(Failure::Invalid(Invalid::new(
                "log options",
                self.log_opt.join(" "),
                "invalid logging opts for driver none",
            )));
        }
        let log = self.log_opt.iter().map(|text| key_values::full_pair("log option", text));
        let health = self.health()?;
        Ok(MoreConfig {
            attach_only: self.attach,
            annotations: pairs("annotation", &self.annotation)?,
            cidfile: self.cidfile.map(|path| path.to_string_lossy().into_owned()),
            domainname: self.domainname.filter(|name| !name.is_empty()),
            group_add: self.group_add,
            device_cgroup_rules: self.device_cgroup_rule,
            cgroup_parent: cgroup_parent(self.cgroup_parent)?,
            log: LogConfig { driver, options: log.collect::<std::result::Result<_, Invalid>>()? },
            dns: self.dns,
            dns_search: self.dns_search,
            dns_options: self.dns_option,
            extra_hosts: self.add_host,
            exposed_ports,
            health,
            restart: self.restart.unwrap_or_default(),
            isolation: self.isolation.filter(|isolation| !isolation.is_empty()),
        })
    }
}

fn cgroup_parent(typed: Option<String>) -> Result<Option<CgroupParent>> {
    Ok(typed.filter(|text| !text.is_empty()).map(|text| text.parse()).transpose()?)
}
