//! Device rules → lines for v1's `devices.allow` and `devices.deny`, or a program for v2. Pure.
//!
//! Whatever the rules say, everything is denied before the first: a list that only allows would else allow
//! all. The last rule that fits decides. The program is the same for the same rules, and touches nothing but
//! its context:
//!
//! ```text
//! r2 = type, r3 = access, r4 = major, r5 = minor
//! for each rule, last first:  if it doesn't fit, go on;  r0 = allow; exit
//! r0 = 0; exit
//! ```

use corten_sys::bpf::Instruction;

use super::{DeviceRule, Error};

/// More than any container names; keeps the program far below the kernel's limit.
const RULES_MAX: usize = 500;

const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;

/// A rule with everything in it checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    allow: bool,
    kind: Option<i32>,
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

const DENY_ALL: Rule =
    Rule { allow: false, kind: None, major: None, minor: None, access: MKNOD | READ | WRITE };

fn checked(rules: &[DeviceRule]) -> Result<Vec<Rule>, Error> {
    let mut all = vec![DENY_ALL];
    for rule in rules {
        let bad = |what| Error::Rule { rule: text(rule), what };
        if all.len() > RULES_MAX {
            return Err(bad("more than 500 before it"));
        }
        let number = |n: Option<u32>| n.map(i32::try_from).transpose().map_err(|_| bad("a number too large"));
        let mut access = 0;
        for letter in rule.access.chars() {
            access |= match letter {
                'r' => READ,
                'w' => WRITE,
                'm' => MKNOD,
                _ => return Err(bad("an access that is not made of `r`, `w` and `m`")),
            };
        }
        let kind = match rule.kind {
            'a' => None,
            'b' => Some(BLOCK),
            'c' | 'u' => Some(CHARACTER),
            _ => return Err(bad("a kind that is not `a`, `b` or `c`")),
        };
        let access = if access == 0 { DENY_ALL.access } else { access };
        let rule =
            Rule { allow: rule.allow, kind, major: number(rule.major)?, minor: number(rule.minor)?, access };
        add(&mut all, rule);
    }
    Ok(all)
}

/// Two rules that allow the same device add up, as they do on v1: `r` and `w` allow opening for both.
fn add(all: &mut Vec<Rule>, rule: Rule) {
    let same = |r: &&mut Rule| (r.kind, r.major, r.minor) == (rule.kind, rule.major, rule.minor);
    let before = all.iter_mut().rev().take_while(|r| r.allow && rule.allow).find(same);
    match before {
        Some(before) => before.access |= rule.access,
        None => all.push(rule),
    }
}

fn text(rule: &DeviceRule) -> String {
    let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
    let verb = if rule.allow { "allow" } else { "deny" };
    format!("{verb} {} {}:{} {}", rule.kind, number(rule.major), number(rule.minor), rule.access)
}

/// Whether to allow, and the line.
pub(super) fn v1_lines(rules: &[DeviceRule]) -> Result<Vec<(bool, String)>, Error> {
    let mut lines = Vec::new();
    for rule in checked(rules)? {
        let number = |n: Option<i32>| n.map_or("*".to_owned(), |n| n.to_string());
        let letters: String = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')]
            .iter()
            .filter(|(b, _)| rule.access & b != 0)
            .map(|(_, l)| l)
            .collect();
        let line = |kind| format!("{kind} {}:{} {letters}", number(rule.major), number(rule.minor));
        let whole = Rule { allow: rule.allow, ..DENY_ALL };
        match rule.kind {
            // The kernel takes `a` for everything, whatever comes after it.
            None if rule == whole => lines.push((rule.allow, "a".to_owned())),
            None => lines.extend([(rule.allow, line('b')), (rule.allow, line('c'))]),
            Some(BLOCK) => lines.push((rule.allow, line('b'))),
            Some(_) => lines.push((rule.allow, line('c'))),
        }
    }
    Ok(lines)
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_NOT_EQUAL: u8 = 0x55;
const JUMP_EQUAL: u8 = 0x15;
const EXIT: u8 = 0x95;

fn op(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers, offset, immediate }
}

/// v2's program, for `BPF_PROG_TYPE_CGROUP_DEVICE`.
pub(super) fn v2_program(rules: &[DeviceRule]) -> Result<Vec<Instruction>, Error> {
    // r1 is the context: access in the high half and type in the low half of the first word, major, minor.
    let mut program = vec![
        op(LOAD_WORD, 0x12, 0, 0),
        op(MOVE_REGISTER, 0x23, 0, 0),
        op(AND, 0x02, 0, 0xffff),
        op(SHIFT_RIGHT, 0x03, 0, 16),
        op(LOAD_WORD, 0x14, 4, 0),
        op(LOAD_WORD, 0x15, 8, 0),
    ];
    for rule in checked(rules)?.iter().rev() {
        program.extend(fits_or_goes_on(rule));
        if *rule == DENY_ALL || *rule == (Rule { allow: true, ..DENY_ALL }) {
            // It fits everything: what comes after it would never run, and the kernel refuses dead code.
            break;
        }
    }
    Ok(program)
}

fn fits_or_goes_on(rule: &Rule) -> Vec<Instruction> {
    let mut tests = Vec::new();
    for (register, wanted) in [(0x02, rule.kind), (0x04, rule.major), (0x05, rule.minor)] {
        tests.extend(wanted.map(|value| op(JUMP_NOT_EQUAL, register, 0, value)));
    }
    if rule.access != DENY_ALL.access {
        tests.push(op(MOVE_REGISTER, 0x31, 0, 0));
        if rule.allow {
            // It fits if nothing is asked for beyond what it allows.
            tests.push(op(AND, 0x01, 0, !rule.access & DENY_ALL.access));
            tests.push(op(JUMP_NOT_EQUAL, 0x01, 0, 0));
        } else {
            // It fits if anything is asked for that it denies.
            tests.push(op(AND, 0x01, 0, rule.access));
            tests.push(op(JUMP_EQUAL, 0x01, 0, 0));
        }
    }
    let length = tests.len();
    for (at, test) in tests.iter_mut().enumerate() {
        if matches!(test.code, JUMP_NOT_EQUAL | JUMP_EQUAL) {
            // Past the remaining tests and the two instructions of the answer.
            test.offset = (length - at - 1 + 2) as i16;
        }
    }
    tests.extend([op(MOVE, 0x00, 0, i32::from(rule.allow)), op(EXIT, 0x00, 0, 0)]);
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> DeviceRule {
        let parts: Vec<&str> = text.split([' ', ':']).collect();
        let number = |t: &str| t.parse().ok();
        DeviceRule {
            allow: parts[0] == "allow",
            kind: parts[1].chars().next().unwrap(),
            major: number(parts[2]),
            minor: number(parts[3]),
            access: parts[4].into(),
        }
    }

    fn rules(all: &[&str]) -> Vec<DeviceRule> {
        all.iter().map(|t| rule(t)).collect()
    }

    /// Runs a program as the kernel would.
    fn run(program: &[Instruction], context: [u32; 3]) -> bool {
        let mut r = [0i64; 11];
        let mut at = 0;
        for _ in 0..program.len() {
            let i = program[at];
            let (dst, src) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let k = i64::from(i.immediate);
            at += 1;
            match i.code {
                LOAD_WORD => r[dst] = i64::from(context[i.offset as usize / 4]),
                MOVE => r[dst] = k,
                MOVE_REGISTER => r[dst] = r[src],
                AND => r[dst] &= k,
                SHIFT_RIGHT => r[dst] >>= k,
                JUMP_NOT_EQUAL if r[dst] != k => at += i.offset as usize,
                JUMP_EQUAL if r[dst] == k => at += i.offset as usize,
                JUMP_NOT_EQUAL | JUMP_EQUAL => {}
                EXIT => return r[0] != 0,
                other => panic!("{other:#x}"),
            }
        }
        panic!("no end")
    }

    fn allowed(list: &[&str], kind: i32, major: u32, minor: u32, access: i32) -> bool {
        let program = v2_program(&rules(list)).unwrap();
        run(&program, [(access << 16 | kind) as u32, major, minor])
    }

    const DOCKER: [&str; 4] = ["deny a *:* rwm", "allow c *:* m", "allow b *:* m", "allow c 1:3 rwm"];

    #[test]
    fn lines_for_v1() {
        let check = |list: &[&str], expected: &[&str]| {
            let lines: Vec<String> = v1_lines(&rules(list))
                .unwrap()
                .into_iter()
                .map(|(allow, line)| format!("{}{line}", if allow { '+' } else { '-' }))
                .collect();
            assert_eq!(lines, expected, "{list:?}");
        };
        check(&DOCKER, &["-a", "-a", "+c *:* m", "+b *:* m", "+c 1:3 rwm"]);
        check(&["allow a *:* rwm"], &["-a", "+a"]);
        check(&["allow a 7:* r"], &["-a", "+b 7:* r", "+c 7:* r"]);
        check(&["allow c 1:3 r", "allow c 1:3 w"], &["-a", "+c 1:3 rw"]);
    }

    #[test]
    fn what_the_program_allows() {
        assert!(allowed(&DOCKER, CHARACTER, 1, 3, READ | WRITE));
        assert!(allowed(&DOCKER, CHARACTER, 1, 3, MKNOD));
        assert!(!allowed(&DOCKER, BLOCK, 1, 3, READ));
        assert!(!allowed(&DOCKER, CHARACTER, 1, 4, READ));
        assert!(allowed(&DOCKER, BLOCK, 8, 0, MKNOD));
        assert!(!allowed(&DOCKER, BLOCK, 8, 0, MKNOD | READ));
        assert!(!allowed(&["allow c 1:3 r"], CHARACTER, 1, 5, READ), "denied without saying so");
        assert!(allowed(&["allow a *:* rwm"], BLOCK, 8, 0, READ | WRITE | MKNOD));
        assert!(allowed(&["allow c 1:3 r", "allow c 1:3 w"], CHARACTER, 1, 3, READ | WRITE), "they add up");
        let but = ["allow a *:* rwm", "deny b 8:* w"];
        assert!(allowed(&but, BLOCK, 8, 1, READ));
        assert!(!allowed(&but, BLOCK, 8, 1, READ | WRITE));
        assert!(allowed(&but, BLOCK, 9, 1, READ | WRITE));
        assert!(allowed(&["deny b 8:* w", "allow b 8:1 rw"], BLOCK, 8, 1, WRITE), "the last one decides");
    }

    #[test]
    fn the_kernel_takes_the_programs() {
        let lists: [&[&str]; 4] =
            [&DOCKER, &["allow a *:* rwm"], &["deny b 8:* w"], &["allow a 7:* r", "deny c 1:3 m"]];
        for list in lists {
            corten_sys::bpf::load_device_program(&v2_program(&rules(list)).unwrap()).unwrap();
        }
        let many: Vec<DeviceRule> =
            (0..499).map(|n| DeviceRule { minor: Some(n), ..rule("allow c 1:0 rw") }).collect();
        corten_sys::bpf::load_device_program(&v2_program(&many).unwrap()).unwrap();
    }

    #[test]
    fn what_is_no_rule() {
        let check = |list: &[DeviceRule], part: &str| {
            let error = v2_program(list).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(&rules(&["allow x 1:3 r"]), "allow x 1:3 r");
        check(&rules(&["allow c 1:3 q"]), "access");
        check(&[DeviceRule { major: Some(u32::MAX), ..rule("allow c 1:3 r") }], "too large");
        let many: Vec<DeviceRule> =
            (0..600).map(|n| DeviceRule { minor: Some(n), ..rule("allow c 1:0 rw") }).collect();
        check(&many, "500");
    }
}
