//! `corten top`: the processes of a container, in the columns of `ps`.

use corten_engine::container::{self, Process};
use corten_model::Invalid;

use crate::caller::Caller;
use crate::error::Result;
use crate::process_columns::{self as columns, Column};
use crate::table::Table;

/// Display the running processes of a container
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten top CONTAINER [ps OPTIONS]")]
pub struct Args {
    /// The container, then options of `ps`: -ef, aux, -o COLUMN,...
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CONTAINER",
        hide = true
    )]
    words: Vec<String>,
}

/// Does it.
pub fn run(mut args: Args, caller: &mut Caller) -> Result<u8> {
    let target = args.words.remove(0);
    let columns = chosen(&args.words)?;
    let processes = container::top(&mut caller.engine()?, &target)?;
    table(&columns, &processes).write(&mut caller.out)?;
    Ok(0)
}

/// The columns that options of `ps` ask for: `-ef` if there are none.
fn chosen(words: &[String]) -> std::result::Result<Vec<Column>, Invalid> {
    let mut columns = columns::named(columns::FULL)?;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bad = |why: &str| {
            Invalid::new("option of ps", word, why).hint("use `-ef`, `aux` or `-o pid,user,args`")
        };
        let letters = word.strip_prefix('-').unwrap_or(word);
        let (letters, list) = match letters.split_once('o') {
            Some((letters, rest)) => {
                let list = if rest.is_empty() { words.next().map(String::as_str) } else { Some(rest) };
                (letters, Some(list.ok_or_else(|| bad("there is no list of columns"))?))
            }
            None => (letters, None),
        };
        for letter in letters.chars() {
            match letter {
                // Which processes: they are the container's, all of them.
                'a' | 'A' | 'e' | 'x' | 'w' => {}
                'f' | 'F' => columns = columns::named(columns::FULL)?,
                'u' => columns = columns::named(columns::BY_USER)?,
                _ => return Err(bad("only the columns can be chosen")),
            }
        }
        if let Some(list) = list {
            columns = columns::named(list)?;
        }
    }
    Ok(columns)
}

fn table(columns: &[Column], processes: &[Process]) -> Table {
    let heading: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    let mut table = Table::new(&heading);
    for process in processes {
        table.push(columns.iter().map(|column| (column.cell)(process)).collect());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(words: &[&str]) -> Option<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let columns = chosen(&words).ok()?;
        Some(columns.iter().map(|column| column.heading).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn options_of_ps_choose_columns() {
        let check = |words: &[&str], expected: &str| {
            assert_eq!(headings(words).as_deref(), Some(expected), "{words:?}");
        };
        let full = "UID PID PPID C STIME TTY TIME CMD";
        check(&[], full);
        check(&["-ef"], full);
        check(&["aux"], "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
        check(&["-o", "pid,comm"], "PID COMMAND");
        check(&["-eo", "pid,user,args"], "PID USER COMMAND");
        check(&["axo", "pid"], "PID");
        check(&["-opid,ppid"], "PID PPID");
        for bad in [&["-o"][..], &["-o", "shoe"], &["-L"], &["--forest"], &["web"]] {
            assert_eq!(headings(bad), None, "{bad:?}");
        }
    }
}
