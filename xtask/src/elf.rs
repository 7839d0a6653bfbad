//! Reading as much of an ELF file as `dist` has to know: its type, its interpreter, its symbols.
//!
//! 64-bit little-endian only: what we ship for.

/// What an executable is.
#[derive(Debug, PartialEq, Eq)]
pub struct Elf {
    /// ET_DYN: loaded at a random address, with relocations to apply at each start.
    pub position_independent: bool,
    /// The dynamic linker it asks for, if any.
    pub interpreter: Option<String>,
    /// The names in its symbol table, defined or wanted; none when it is stripped.
    pub symbols: Vec<String>,
}

const TYPE_DYN: u16 = 3;
const PROGRAM_INTERP: u32 = 3;
const SECTION_SYMTAB: u32 = 2;
const SYMBOL_SIZE: usize = 24;

/// Parses a whole file.
pub fn parse(file: &[u8]) -> Result<Elf, &'static str> {
    if file.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err("not a 64-bit little-endian ELF file");
    }
    let kind = u16_at(file, 16)?;
    Ok(Elf {
        position_independent: kind == TYPE_DYN,
        interpreter: interpreter(file)?,
        symbols: symbols(file)?,
    })
}

fn interpreter(file: &[u8]) -> Result<Option<String>, &'static str> {
    let (table, size, count) = (offset_at(file, 32)?, u16_at(file, 54)?, u16_at(file, 56)?);
    for index in 0..usize::from(count) {
        let header = table + index * usize::from(size);
        if u32_at(file, header)? == PROGRAM_INTERP {
            let (start, length) = (offset_at(file, header + 8)?, offset_at(file, header + 32)?);
            let name = file.get(start..start + length).ok_or("a program header points outside the file")?;
            return Ok(Some(until_nul(name)));
        }
    }
    Ok(None)
}

fn symbols(file: &[u8]) -> Result<Vec<String>, &'static str> {
    let (table, size, count) = (offset_at(file, 40)?, u16_at(file, 58)?, u16_at(file, 60)?);
    let section = |index: usize| table + index * usize::from(size);
    let body = |index: usize| -> Result<&[u8], &'static str> {
        let (start, length) = (offset_at(file, section(index) + 24)?, offset_at(file, section(index) + 32)?);
        file.get(start..start + length).ok_or("a section points outside the file")
    };
    let mut names = Vec::new();
    for index in 0..usize::from(count) {
        if u32_at(file, section(index) + 4)? != SECTION_SYMTAB {
            continue;
        }
        let strings = body(u32_at(file, section(index) + 40)? as usize)?;
        for symbol in body(index)?.chunks_exact(SYMBOL_SIZE) {
            let name = strings.get(u32_at(symbol, 0)? as usize..).ok_or("a symbol's name is outside")?;
            names.push(until_nul(name));
        }
    }
    Ok(names)
}

fn until_nul(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn bytes_at<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N], &'static str> {
    file.get(at..at + N).and_then(|b| b.try_into().ok()).ok_or("the file ends too early")
}

fn u16_at(file: &[u8], at: usize) -> Result<u16, &'static str> {
    bytes_at(file, at).map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], at: usize) -> Result<u32, &'static str> {
    bytes_at(file, at).map(u32::from_le_bytes)
}

fn offset_at(file: &[u8], at: usize) -> Result<usize, &'static str> {
    let offset = u64::from_le_bytes(bytes_at(file, at)?);
    // Half the range, so that adding two of them can't overflow.
    usize::try_from(offset).ok().filter(|o| *o < usize::MAX / 4).ok_or("an offset is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_executable_is_read() {
        let elf = parse(&std::fs::read("/proc/self/exe").unwrap()).unwrap();
        assert!(elf.interpreter.is_some_and(|name| name.contains("ld-linux")));
        assert!(elf.symbols.iter().any(|s| s == "main"), "this test binary isn't stripped");
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(parse(b"#!/bin/sh\n").is_err());
        let mut cut = std::fs::read("/proc/self/exe").unwrap();
        cut.truncate(4096);
        assert!(parse(&cut).is_err());
    }
}
