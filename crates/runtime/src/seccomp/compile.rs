//! Tables of decisions → one classic BPF program.
//!
//! ```text
//! load arch; is it X? → [load nr; search tree of X; leaves] ; is it Y? → …; else kill
//! ```
//!
//! The kernel runs a new filter once for every system call number, to learn which are always allowed: a list
//! of 1,289 comparisons takes it 1.4 ms at every start of a container, a tree over ranges a tenth of that.
//!
//! Jumps of classic BPF go forward only, conditional ones at most 255 instructions. So the program is written
//! from its end: whatever is jumped to exists already. A target too far away is repeated (a return) or
//! reached by an unconditional jump.

use corten_sys::seccomp::{INSTRUCTIONS_MAX, Instruction};

use super::Error;
use super::arch::Arch;
use super::table::{Check, Compare, Condition, Decision, Table};

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

const KILL_PROCESS: u32 = 0x8000_0000;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// A conditional jump reaches 255; bringing one target near may push the other two further away.
const REACH: usize = 250;

/// Compiles `tables`, in the order in which architectures are asked for. A process of another one is killed.
pub(super) fn program(tables: &[Table]) -> Result<Vec<Instruction>, Error> {
    let mut a = Assembler::default();
    let mut entries = Vec::new();
    for table in tables.iter().rev() {
        a.leaves.clear();
        let tree = a.tree(table.arch, &table.ranges);
        entries.push((table.arch, a.load(NUMBER, tree)));
    }
    let mut next = a.returns(KILL_PROCESS);
    for (arch, entry) in entries {
        next = a.branch(JUMP_EQUAL, arch.audit(), entry, next);
    }
    a.load(ARCH, next);
    if a.reversed.len() > INSTRUCTIONS_MAX {
        return Err(Error::TooLong(a.reversed.len()));
    }
    a.reversed.reverse();
    Ok(a.reversed)
}

/// The index of an instruction, counted from the program's end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

#[derive(Default)]
struct Assembler {
    reversed: Vec<Instruction>,
    /// Code of decisions that exists already, of the current architecture.
    leaves: Vec<(Decision, Label)>,
}

impl Assembler {
    fn push(&mut self, code: u16, k: u32, jump_true: u8, jump_false: u8) -> Label {
        self.reversed.push(Instruction { code, jump_true, jump_false, k });
        Label(self.reversed.len() - 1)
    }

    /// How many instructions a jump written now skips.
    fn distance(&self, target: Label) -> usize {
        self.reversed.len() - 1 - target.0
    }

    /// The same place, within the reach of a conditional jump.
    fn near(&mut self, target: Label) -> Label {
        if self.distance(target) <= REACH {
            return target;
        }
        let there = self.reversed[target.0];
        if there.code == RETURN { self.push(RETURN, there.k, 0, 0) } else { self.jump(target) }
    }

    fn jump(&mut self, target: Label) -> Label {
        let skipped = self.distance(target) as u32;
        self.push(JUMP, skipped, 0, 0)
    }

    fn returns(&mut self, value: u32) -> Label {
        let nearest = self.reversed.iter().rev().take(REACH).position(|i| i.code == RETURN && i.k == value);
        match nearest {
            Some(back) => Label(self.reversed.len() - 1 - back),
            None => self.push(RETURN, value, 0, 0),
        }
    }

    fn branch(&mut self, code: u16, k: u32, on_true: Label, on_false: Label) -> Label {
        if on_true == on_false {
            return on_true;
        }
        let on_true = self.near(on_true);
        let on_false = self.near(on_false);
        let (t, f) = (self.distance(on_true), self.distance(on_false));
        let fits = "`near` keeps both within 255: it was at most 250, and one instruction came since";
        self.push(code, k, u8::try_from(t).expect(fits), u8::try_from(f).expect(fits))
    }

    /// An instruction that goes on to the next one, which has to be `next`.
    fn then(&mut self, code: u16, k: u32, next: Label) -> Label {
        if self.distance(next) != 0 {
            self.jump(next);
        }
        self.push(code, k, 0, 0)
    }

    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.then(LOAD, offset, next)
    }

    fn tree(&mut self, arch: Arch, ranges: &[(u32, Decision)]) -> Label {
        match ranges {
            [] => self.returns(KILL_PROCESS),
            [(_, decision)] => self.leaf(arch, decision),
            // One number of its own between equal neighbours: one comparison instead of two.
            [(_, around), (number, inner), (after, same)] if around == same && *after == number + 1 => {
                let outer = self.leaf(arch, around);
                let inner = self.leaf(arch, inner);
                self.branch(JUMP_EQUAL, *number, inner, outer)
            }
            _ => {
                let middle = split(ranges);
                let right = self.tree(arch, &ranges[middle..]);
                let left = self.tree(arch, &ranges[..middle]);
                self.branch(JUMP_GREATER_OR_EQUAL, ranges[middle].0, right, left)
            }
        }
    }

    fn leaf(&mut self, arch: Arch, decision: &Decision) -> Label {
        match decision {
            Decision::Return(value) => self.returns(*value),
            Decision::Check { checks, otherwise } => {
                if let Some((_, label)) = self.leaves.iter().find(|(d, _)| d == decision) {
                    return *label;
                }
                let mut next = self.returns(*otherwise);
                for check in checks.iter().rev() {
                    next = self.check(arch, check, next);
                }
                self.leaves.push((decision.clone(), next));
                next
            }
        }
    }

    fn check(&mut self, arch: Arch, check: &Check, fails: Label) -> Label {
        let mut holds = self.returns(check.action);
        for condition in check.conditions.iter().rev() {
            holds = self.condition(arch, *condition, holds, fails);
        }
        holds
    }

    fn condition(&mut self, arch: Arch, condition: Condition, holds: Label, fails: Label) -> Label {
        let low_at = ARGUMENTS + 8 * condition.index;
        let argument = Word { low_at, high_at: (!arch.is_32_bit()).then_some(low_at + 4) };
        let compare = if arch.is_32_bit() { condition.compare.low_word() } else { condition.compare };
        match compare {
            Compare::Equal(v) => self.masked(argument, u64::MAX, v, holds, fails),
            Compare::NotEqual(v) => self.masked(argument, u64::MAX, v, fails, holds),
            Compare::Masked { mask, value } => self.masked(argument, mask, value, holds, fails),
            Compare::Greater(v) => self.above(argument, JUMP_GREATER, v, holds, fails),
            Compare::LessOrEqual(v) => self.above(argument, JUMP_GREATER, v, fails, holds),
            Compare::GreaterOrEqual(v) => self.above(argument, JUMP_GREATER_OR_EQUAL, v, holds, fails),
            Compare::Less(v) => self.above(argument, JUMP_GREATER_OR_EQUAL, v, fails, holds),
        }
    }

    fn masked(&mut self, argument: Word, mask: u64, value: u64, yes: Label, no: Label) -> Label {
        let low = self.masked_word(argument.low_at, mask as u32, value as u32, yes, no);
        match argument.high_at {
            Some(at) => self.masked_word(at, (mask >> 32) as u32, (value >> 32) as u32, low, no),
            None => low,
        }
    }

    fn masked_word(&mut self, at: u32, mask: u32, value: u32, yes: Label, no: Label) -> Label {
        if mask == 0 && value == 0 {
            return yes;
        }
        let test = self.branch(JUMP_EQUAL, value, yes, no);
        let test = if mask == u32::MAX { test } else { self.then(AND, mask, test) };
        self.load(at, test)
    }

    /// Compares all 64 bits: the high words decide unless they are equal.
    fn above(&mut self, argument: Word, low_code: u16, value: u64, yes: Label, no: Label) -> Label {
        let test = self.branch(low_code, value as u32, yes, no);
        let low = self.load(argument.low_at, test);
        let Some(at) = argument.high_at else { return low };
        let equal = self.branch(JUMP_EQUAL, (value >> 32) as u32, low, no);
        let greater = self.branch(JUMP_GREATER, (value >> 32) as u32, yes, equal);
        self.load(at, greater)
    }
}

/// Where an argument's halves are; both kinds of processor here are little-endian.
#[derive(Clone, Copy)]
struct Word {
    low_at: u32,
    high_at: Option<u32>,
}

/// The middle, moved by one where that leaves single numbers whole between equal neighbours.
fn split(ranges: &[(u32, Decision)]) -> usize {
    let middle = ranges.len() / 2;
    if middle.is_multiple_of(2) && middle + 1 < ranges.len() { middle + 1 } else { middle }
}
