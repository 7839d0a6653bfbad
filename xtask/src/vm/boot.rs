//! qemu: boots the image, shows its serial console, picks the exit codes out of it, and ends it at the
//! deadline.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use super::{Request, Result};

/// The line that tells that the programs start; boot messages before it are not shown.
pub(super) const READY_MARK: &str = "VM-READY";
/// The line that tells how a program ended.
pub(super) const EXIT_MARK: &str = "VM-EXIT";
/// How much of the boot is shown if it comes to nothing.
const LINES_SHOWN: usize = 60;

/// Ends qemu when it is dropped, whatever happened.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots and returns the exit codes of the programs that ended.
pub(super) fn run(kernel: &Path, image: &Path, request: &Request) -> Result<Vec<i32>> {
    let end = Instant::now() + request.deadline;
    let mut qemu = Guard(start(kernel, image, request)?);
    let console = qemu.0.stdout.take().ok_or("qemu has no console")?;
    let (send, lines) = mpsc::sync_channel(1024);
    std::thread::spawn(move || {
        let mut console = BufReader::new(console);
        let mut line = Vec::new();
        while console.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if send.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
    let mut codes = Vec::new();
    let mut boot: Option<Vec<String>> = Some(Vec::new());
    loop {
        let line = match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) if boot.is_none() => return Ok(codes),
            Err(error) => {
                let shown: Vec<String> = boot.unwrap_or_default();
                let shown = shown[shown.len().saturating_sub(LINES_SHOWN)..].join("\n");
                let what = match error {
                    RecvTimeoutError::Timeout => format!("did not end in {} s", request.deadline.as_secs()),
                    RecvTimeoutError::Disconnected => "ended while it booted".to_owned(),
                };
                return Err(format!("{shown}\nthe virtual machine {what}").into());
            }
        };
        if let Some(code) = line.split_once(EXIT_MARK).and_then(|(_, code)| code.trim().parse().ok()) {
            codes.push(code);
        } else if line.contains(READY_MARK) {
            boot = None;
        } else if let Some(boot) = &mut boot {
            boot.push(line);
        } else {
            println!("{line}");
        }
    }
}

fn start(kernel: &Path, image: &Path, request: &Request) -> Result<Child> {
    let on_v2 = if request.hybrid { "memory,pids" } else { "all" };
    let line = format!("console=ttyS0 panic=-1 quiet loglevel=3 systemd.show_status=0 cgroup_no_v1={on_v2}");
    let child = Command::new("qemu-system-x86_64")
        .args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", &request.memory_mib.to_string()])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(image)
        .args(["-append", &line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    child.map_err(|e| format!("run `qemu-system-x86_64`: {e}").into())
}
