//! Runs a filter as the kernel would, for tests: only the instructions that the compiler writes.

use corten_sys::seccomp::Instruction;

/// What a filter sees of a system call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data {
    pub(super) number: u32,
    pub(super) arch: u32,
    pub(super) arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 if offset.is_multiple_of(4) => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            _ => panic!("a load from offset {offset}"),
        }
    }
}

/// The value that the filter returns, and how many instructions it took.
pub(super) fn run(program: &[Instruction], data: &Data) -> (u32, usize) {
    let mut accumulator = 0;
    let mut at = 0;
    for steps in 1..=program.len() {
        let i = program[at];
        let branch = |holds: bool| usize::from(if holds { i.jump_true } else { i.jump_false });
        at += 1 + match i.code {
            0x20 => {
                accumulator = data.word(i.k);
                0
            }
            0x54 => {
                accumulator &= i.k;
                0
            }
            0x05 => i.k as usize,
            0x15 => branch(accumulator == i.k),
            0x25 => branch(accumulator > i.k),
            0x35 => branch(accumulator >= i.k),
            0x06 => return (i.k, steps),
            other => panic!("operation {other:#x}"),
        };
    }
    panic!("more steps than instructions")
}
