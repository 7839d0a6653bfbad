//! Renders a parsed template on a value. Whatever a template does is paid for: steps and letters come out of one
//! budget, and templates that call each other have a bounded depth.

use super::error::Fault;
use super::functions::{self, Arity, Function, Wrong};
use super::node::{Branch, Command, Node, Operand, OperandKind, Pipeline};
use super::parse::Tree;
use super::print;
use super::value::{Struct, Value};

/// Steps and letters that one rendering may take.
const BUDGET: usize = 8 << 20;
/// Frames of the evaluation: each takes some of our stack.
const DEPTH_MAX: usize = 600;

/// What a missing key of a map is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// Nothing, printed as `<no value>`.
    Nothing,
    /// An error.
    Error,
}

/// The text of a template for `data`.
pub fn render(tree: &Tree, data: &Value, missing_key: MissingKey) -> Result<String, Fault> {
    let mut run = Run::new(tree, data, missing_key);
    run.walk(&tree.root, data)?;
    Ok(run.out)
}

/// The first line of a table: functions that change a text leave the headings alone, and what can't be rendered is
/// left out.
pub fn heading(tree: &Tree, headings: &Value) -> String {
    let mut run = Run::new(tree, headings, MissingKey::Nothing);
    run.keeps_headings = true;
    // Rows have said already what is wrong; without rows there is nothing to be wrong about.
    let _ = run.walk(&tree.root, headings);
    run.out
}

/// What would change a heading.
const CHANGES_TEXT: [&str; 7] = ["join", "json", "lower", "split", "title", "truncate", "upper"];

/// What is left to spend.
pub struct Budget {
    left: usize,
}

impl Budget {
    /// Takes so much of it.
    pub fn spend(&mut self, amount: usize) -> Result<(), String> {
        match self.left.checked_sub(amount) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(format!("rendering it takes more than {BUDGET} steps and letters")),
        }
    }
}

/// How a list of nodes ended.
#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Run<'a> {
    tree: &'a Tree,
    missing_key: MissingKey,
    out: String,
    variables: Vec<(String, Value)>,
    budget: Budget,
    depth: usize,
    keeps_headings: bool,
}

impl<'a> Run<'a> {
    fn new(tree: &'a Tree, data: &Value, missing_key: MissingKey) -> Self {
        Self {
            tree,
            missing_key,
            out: String::new(),
            variables: vec![("$".to_owned(), data.clone())],
            budget: Budget { left: BUDGET },
            depth: 0,
            keeps_headings: false,
        }
    }

    fn spend(&mut self, amount: usize, at: usize) -> Result<(), Fault> {
        self.budget.spend(amount).map_err(|why| Fault::rendering(at, why))
    }

    fn deeper(&mut self, at: usize) -> Result<(), Fault> {
        self.depth += 1;
        self.spend(1, at)?;
        if self.depth > DEPTH_MAX {
            return Err(Fault::rendering(
                at,
                format!("it is nested, or calls templates, more than {DEPTH_MAX} deep"),
            ));
        }
        Ok(())
    }

    fn print(&mut self, text: &str, at: usize) -> Result<(), Fault> {
        self.spend(text.len(), at)?;
        self.out.push_str(text);
        Ok(())
    }

    fn printed(&mut self, value: &Value, at: usize) -> Result<String, Fault> {
        print::printed(value, &mut self.budget).map_err(|why| Fault::rendering(at, why))
    }

    fn walk(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Fault> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => self.print(text, 0).map(|()| Flow::Next)?,
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        let text = self.printed(&value, pipeline.at)?;
                        self.out.push_str(&text);
                    }
                    Flow::Next
                }
                Node::If(branch) => self.branch(branch, dot, false)?,
                Node::With(branch) => self.branch(branch, dot, true)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Template { name, argument, at } => self.template(name, argument.as_ref(), *at, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, branch: &Branch, dot: &Value, moves_dot: bool) -> Result<Flow, Fault> {
        self.deeper(branch.pipeline.at)?;
        let scope = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = match value.is_true() {
            true => self.walk(&branch.then, if moves_dot { &value } else { dot })?,
            false => self.walk(&branch.otherwise, dot)?,
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Fault> {
        let at = branch.pipeline.at;
        self.deeper(at)?;
        let scope = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let mut turns = 0usize;
        match &value {
            Value::List(list) => {
                for (index, item) in list.items.iter().enumerate() {
                    turns += 1;
                    if !self.turn(branch, Value::Int(index as i64), item)? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in &map.entries {
                    turns += 1;
                    if !self.turn(branch, Value::text(key), item)? {
                        break;
                    }
                }
            }
            Value::Int(_) if branch.pipeline.variables.len() > 1 => {
                let shown = self.printed(&value, at)?;
                let why = format!("can't use {shown} to iterate over more than one variable");
                return Err(Fault::rendering(at, why));
            }
            Value::Int(count) => {
                for index in 0..*count {
                    turns += 1;
                    if !self.turn(branch, Value::Int(index), &Value::Int(index))? {
                        break;
                    }
                }
            }
            Value::Missing | Value::Null => {}
            other => {
                let shown = self.printed(other, at)?;
                return Err(Fault::rendering(at, format!("range can't iterate over {shown}")));
            }
        }
        let mut flow = Flow::Next;
        if turns == 0 {
            flow = self.walk(&branch.otherwise, dot)?;
        }
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(flow)
    }

    /// One turn of a loop; `false`: it was the last.
    fn turn(&mut self, branch: &Branch, index: Value, item: &Value) -> Result<bool, Fault> {
        self.spend(1, branch.pipeline.at)?;
        let names = &branch.pipeline.variables;
        let item = item.clone().settled();
        let values: Vec<Value> = match names.len() {
            2 => vec![index, item.clone()],
            // Go gives the only variable of a range over a number the number, of a list the item.
            1 => vec![item.clone()],
            _ => Vec::new(),
        };
        let scope = self.variables.len();
        for (name, value) in names.iter().zip(values) {
            if branch.pipeline.is_assignment {
                self.assign(name, value, branch.pipeline.at)?;
            } else {
                self.variables.push((name.clone(), value));
            }
        }
        let flow = self.walk(&branch.then, &item)?;
        self.variables.truncate(scope);
        Ok(flow != Flow::Break)
    }

    fn template(
        &mut self,
        name: &str,
        argument: Option<&Pipeline>,
        at: usize,
        dot: &Value,
    ) -> Result<Flow, Fault> {
        let tree = self.tree;
        let nodes = tree.defined.get(name);
        let nodes = nodes.ok_or_else(|| Fault::rendering(at, format!("template \"{name}\" not defined")))?;
        self.deeper(at)?;
        let value = match argument {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Missing,
        };
        // A template sees no variable of its caller.
        let variables = std::mem::replace(&mut self.variables, vec![("$".to_owned(), value.clone())]);
        self.walk(nodes, &value)?;
        self.variables = variables;
        self.depth -= 1;
        Ok(Flow::Next)
    }

    fn assign(&mut self, name: &str, value: Value, at: usize) -> Result<(), Fault> {
        let variable = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        let variable = variable.ok_or_else(|| Fault::rendering(at, format!("undefined variable: {name}")))?;
        variable.1 = value;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Fault> {
        self.deeper(pipeline.at)?;
        let mut value: Option<Value> = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?.settled());
        }
        self.depth -= 1;
        let value = value.unwrap_or(Value::Missing);
        // `range` gives its variables their values turn by turn; what is pushed here is gone with the scope.
        for name in &pipeline.variables {
            if pipeline.is_assignment {
                self.assign(name, value.clone(), pipeline.at)?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    /// A command; `piped` is its last argument.
    fn command(&mut self, command: &Command, dot: &Value, piped: Option<Value>) -> Result<Value, Fault> {
        let (first, arguments) = (&command.words[0], &command.words[1..]);
        match &first.kind {
            OperandKind::Function(name) => self.call(name, first.at, arguments, dot, piped),
            OperandKind::Field(path) => self.path(dot.clone(), path, first.at, arguments, dot, piped),
            OperandKind::Variable(name, path) => {
                let value = self.variable(name, first.at)?;
                self.path(value, path, first.at, arguments, dot, piped)
            }
            OperandKind::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                self.path(value, path, first.at, arguments, dot, piped)
            }
            OperandKind::Nil => Err(Fault::rendering(first.at, "nil is not a command")),
            _ if !arguments.is_empty() || piped.is_some() => Err(not_a_function(first.at)),
            _ => self.operand(first, dot),
        }
    }

    /// The value of a word that stands alone.
    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Fault> {
        self.spend(1, operand.at)?;
        Ok(match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Nil => Value::Null,
            OperandKind::Bool(on) => Value::Bool(*on),
            OperandKind::Int(number) => Value::Int(*number),
            OperandKind::Float(number) => Value::Float(*number),
            OperandKind::Text(text) => Value::text(text),
            OperandKind::Paren(pipeline) => self.pipeline(pipeline, dot)?,
            OperandKind::Field(path) => self.path(dot.clone(), path, operand.at, &[], dot, None)?,
            OperandKind::Variable(name, path) => {
                let value = self.variable(name, operand.at)?;
                self.path(value, path, operand.at, &[], dot, None)?
            }
            OperandKind::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                self.path(value, path, operand.at, &[], dot, None)?
            }
            OperandKind::Function(name) => self.call(name, operand.at, &[], dot, None)?,
        })
    }

    fn variable(&self, name: &str, at: usize) -> Result<Value, Fault> {
        let variable = self.variables.iter().rev().find(|(known, _)| known == name);
        let variable = variable.ok_or_else(|| Fault::rendering(at, format!("undefined variable: {name}")))?;
        Ok(variable.1.clone())
    }

    /// The fields of `value` one after another; the last may be a method with arguments.
    fn path(
        &mut self,
        value: Value,
        path: &[String],
        at: usize,
        arguments: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let Some((last, before)) = path.split_last() else {
            return if arguments.is_empty() && piped.is_none() { Ok(value) } else { Err(not_a_function(at)) };
        };
        let mut value = value;
        for name in before {
            value = self.field(&value, name, at)?;
        }
        if has_method(&value, last) {
            let mut given = Vec::new();
            for argument in arguments {
                given.push(self.operand(argument, dot)?);
            }
            given.extend(piped);
            return label(&value, &given).map_err(|why| Fault::rendering(at, why));
        }
        let found = self.field(&value, last, at)?;
        if arguments.is_empty() && piped.is_none() {
            return Ok(found);
        }
        let why = match value {
            Value::Map(_) => format!("{last} is not a method but has arguments"),
            _ => format!("{last} has arguments but cannot be invoked as function"),
        };
        Err(Fault::rendering(at, why))
    }

    fn field(&mut self, value: &Value, name: &str, at: usize) -> Result<Value, Fault> {
        self.spend(1, at)?;
        let fail = |why: String| Err(Fault::rendering(at, why));
        match value {
            Value::Map(map) => match map.get(name) {
                Some(value) => Ok(value.clone()),
                None if self.missing_key == MissingKey::Error => {
                    fail(format!("map has no entry for key \"{name}\""))
                }
                None => Ok(Value::Missing),
            },
            Value::Struct(fields) => match fields.get(name) {
                Some(value) => Ok(value.clone()),
                None => fail(format!("can't evaluate field {name} in type {}", value.type_name())),
            },
            Value::Missing if self.missing_key == MissingKey::Error => {
                fail(format!("nil data; no entry for key \"{name}\""))
            }
            Value::Missing => Ok(Value::Missing),
            Value::Null | Value::NilPointer(_) => {
                fail(format!("nil pointer evaluating {}.{name}", value.type_name()))
            }
            _ => fail(format!("can't evaluate field {name} in type {}", value.type_name())),
        }
    }

    fn call(
        &mut self,
        name: &str,
        at: usize,
        arguments: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let function = functions::find(name).expect("the parser knows every function that it lets in");
        let count = arguments.len() + usize::from(piped.is_some());
        check_count(function, count).map_err(|why| Fault::rendering(at, why))?;
        if let Arity::ShortCircuit { stops_at } = function.arity {
            return self.until(stops_at, arguments, dot, piped);
        }
        let mut given = Vec::with_capacity(count);
        for argument in arguments {
            given.push(self.operand(argument, dot)?);
        }
        given.extend(piped);
        if self.keeps_headings && CHANGES_TEXT.contains(&name) {
            return Ok(given.swap_remove(0));
        }
        (function.call)(&given, &mut self.budget).map_err(|why| match why {
            Wrong::Argument(why) => Fault::rendering(at, why),
            Wrong::Call(why) => Fault::rendering(at, format!("error calling {name}: {why}")),
        })
    }

    /// `and`, `or`: the first argument that decides; those after it are not looked at.
    fn until(
        &mut self,
        stops_at: bool,
        arguments: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let mut value = Value::Missing;
        for argument in arguments {
            value = self.operand(argument, dot)?;
            if value.is_true() == stops_at {
                return Ok(value);
            }
        }
        Ok(piped.unwrap_or(value))
    }
}

fn not_a_function(at: usize) -> Fault {
    Fault::rendering(at, "can't give argument to non-function")
}

fn check_count(function: &Function, count: usize) -> Result<(), String> {
    let (least, most) = match function.arity {
        Arity::Exactly(count) => (count, Some(count)),
        Arity::AtLeast(count) => (count, None),
        Arity::ShortCircuit { .. } => (1, None),
    };
    let want = match most {
        Some(most) if count != most => format!("want {most}"),
        None if count < least => format!("want at least {least}"),
        _ => return Ok(()),
    };
    Err(format!("wrong number of args for {}: {want} got {count}", function.name))
}

/// `Label` is the one method that rows of lists have.
fn has_method(value: &Value, name: &str) -> bool {
    name == "Label"
        && match value {
            Value::Struct(fields) => fields.labels.is_some(),
            Value::Map(map) => map.has_heading_of_label,
            _ => false,
        }
}

fn label(value: &Value, arguments: &[Value]) -> Result<Value, String> {
    let [key] = arguments else {
        return Err(format!("wrong number of args for Label: want 1 got {}", arguments.len()));
    };
    let Value::Text(key) = key else {
        return Err(format!("wrong type for value; expected string; got {}", key.type_name()));
    };
    Ok(match value {
        Value::Struct(fields) => label_of(fields, key),
        // A heading has the last part of the key, in words.
        _ => Value::text(key.rsplit('.').next().unwrap_or(key).replace(['-', '_'], " ")),
    })
}

fn label_of(fields: &Struct, key: &str) -> Value {
    let label = fields.labels.as_ref().and_then(|labels| labels.get(key));
    Value::text(label.map_or("", String::as_str))
}
