//! Tokens become nodes. What is wrong whatever the data is found here: an unknown function, an undeclared variable,
//! an `end` too few.

use std::collections::BTreeMap;

use super::error::Fault;
use super::functions;
use super::lex::{self, Number, Placed, Token};
use super::node::{Branch, Command, Node, Operand, OperandKind, Pipeline};

/// Bytes of a template's text.
const SOURCE_MAX: usize = 64 << 10;
/// How deep blocks and parentheses nest, together.
const DEPTH_MAX: usize = 100;

/// A parsed template, with those that it defines.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// What is rendered.
    pub root: Vec<Node>,
    /// What `{{define}}` and `{{block}}` name.
    pub defined: BTreeMap<String, Vec<Node>>,
}

/// Parses a template.
pub fn parse(source: &str) -> Result<Tree, Fault> {
    if source.len() > SOURCE_MAX {
        return Err(Fault::syntax(0, format!("the template has more than {SOURCE_MAX} bytes")));
    }
    let mut parser = Parser {
        tokens: lex::tokens(source)?,
        next: 0,
        variables: vec!["$".to_owned()],
        loops: 0,
        depth: 0,
        defined: BTreeMap::new(),
    };
    let mut root = Vec::new();
    match parser.list(&mut root, true)? {
        Stop::End => Ok(Tree { root, defined: parser.defined }),
        Stop::Keyword(word, at) => Err(Fault::syntax(at, format!("unexpected {{{{{word}}}}}"))),
    }
}

/// What ended a list of nodes.
enum Stop {
    /// The template's end.
    End,
    /// `end` or `else`; its word is read, the rest of its action is not.
    Keyword(&'static str, usize),
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    /// Declared variables, the innermost last.
    variables: Vec<String>,
    /// How many `range`s we are in.
    loops: usize,
    depth: usize,
    defined: BTreeMap<String, Vec<Node>>,
}

impl Parser {
    /// The last token is always there, and never left behind.
    fn peek(&self) -> &Placed {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Placed {
        let placed = self.peek().clone();
        self.next += 1;
        placed
    }

    fn skip_space(&mut self) {
        while self.peek().token == Token::Space {
            self.next += 1;
        }
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let why = format!("blocks and parentheses are nested more than {DEPTH_MAX} deep");
            return Err(Fault::syntax(self.peek().at, why));
        }
        Ok(())
    }

    /// Nodes up to an `end` or `else` that belongs to what is around them.
    fn list(&mut self, nodes: &mut Vec<Node>, is_top: bool) -> Result<Stop, Fault> {
        loop {
            let placed = self.take();
            match placed.token {
                Token::Text(text) => nodes.push(Node::Text(text)),
                Token::End => return Ok(Stop::End),
                _ => {
                    self.skip_space();
                    if let Some(stop) = self.action(nodes, is_top)? {
                        return Ok(stop);
                    }
                }
            }
        }
    }

    fn action(&mut self, nodes: &mut Vec<Node>, is_top: bool) -> Result<Option<Stop>, Fault> {
        let Placed { token, at } = self.peek().clone();
        let keyword = if let Token::Word(word) = &token { word.as_str() } else { "" };
        if matches!(keyword, "end" | "else") {
            self.next += 1;
            return Ok(Some(Stop::Keyword(if keyword == "end" { "end" } else { "else" }, at)));
        }
        let node = match keyword {
            "if" => self.control("if", at).map(Node::If)?,
            "with" => self.control("with", at).map(Node::With)?,
            "range" => self.control("range", at).map(Node::Range)?,
            "template" => self.template(at)?,
            "block" => self.block(at)?,
            "define" if is_top => {
                self.define(at)?;
                return Ok(None);
            }
            "define" => return Err(Fault::syntax(at, "unexpected {{define}} in a block")),
            "break" | "continue" => {
                self.next += 1;
                if self.loops == 0 {
                    return Err(Fault::syntax(at, format!("{{{{{keyword}}}}} outside {{{{range}}}}")));
                }
                self.close(keyword)?;
                if keyword == "break" { Node::Break } else { Node::Continue }
            }
            _ => Node::Action(self.pipeline("command", &Token::Close)?),
        };
        nodes.push(node);
        Ok(None)
    }

    /// The end of an action that has to be here.
    fn close(&mut self, context: &str) -> Result<(), Fault> {
        self.skip_space();
        let placed = self.take();
        if placed.token == Token::Close { Ok(()) } else { Err(unexpected(&placed, context)) }
    }

    /// `if`, `with`, `range` up to their `end`.
    fn control(&mut self, word: &'static str, at: usize) -> Result<Branch, Fault> {
        self.next += 1;
        self.deeper()?;
        let scope = self.variables.len();
        let pipeline = self.pipeline(word, &Token::Close)?;
        let is_loop = word == "range";
        self.loops += usize::from(is_loop);
        let mut then = Vec::new();
        let stop = self.list(&mut then, false)?;
        self.loops -= usize::from(is_loop);
        let mut otherwise = Vec::new();
        match stop {
            Stop::End => return Err(unclosed(word, at)),
            Stop::Keyword("end", _) => self.close("end")?,
            Stop::Keyword(_, _) => self.otherwise(word, at, &mut otherwise)?,
        }
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Branch { pipeline, then, otherwise })
    }

    /// What stands behind `else`: nodes up to the `end`, or `if` again.
    fn otherwise(&mut self, word: &'static str, at: usize, nodes: &mut Vec<Node>) -> Result<(), Fault> {
        self.skip_space();
        let Placed { token, at: again_at } = self.peek().clone();
        if word != "range" && token == Token::Word(word.to_owned()) {
            // `else if` needs no `end` of its own: the one it finds closes both.
            let branch = self.control(word, again_at)?;
            nodes.push(if word == "if" { Node::If(branch) } else { Node::With(branch) });
            return Ok(());
        }
        self.close("else")?;
        match self.list(nodes, false)? {
            Stop::End => Err(unclosed(word, at)),
            Stop::Keyword("end", _) => self.close("end"),
            Stop::Keyword(_, at) => Err(Fault::syntax(at, "expected end; found {{else}}")),
        }
    }

    /// The name of a template, and what follows it.
    fn name(&mut self, word: &str) -> Result<String, Fault> {
        self.next += 1;
        self.skip_space();
        let placed = self.take();
        match placed.token {
            Token::Quoted(name) => Ok(name),
            _ => Err(unexpected(&placed, &format!("{word} clause"))),
        }
    }

    fn template(&mut self, at: usize) -> Result<Node, Fault> {
        let name = self.name("template")?;
        self.skip_space();
        if self.peek().token == Token::Close {
            self.next += 1;
            return Ok(Node::Template { name, argument: None, at });
        }
        let argument = Some(self.pipeline("template clause", &Token::Close)?);
        Ok(Node::Template { name, argument, at })
    }

    fn block(&mut self, at: usize) -> Result<Node, Fault> {
        let name = self.name("block")?;
        let argument = Some(self.pipeline("block clause", &Token::Close)?);
        self.body("block", &name, at)?;
        Ok(Node::Template { name, argument, at })
    }

    fn define(&mut self, at: usize) -> Result<(), Fault> {
        let name = self.name("define")?;
        self.close("define clause")?;
        self.body("define", &name, at)
    }

    /// A template of its own: it sees no variable and no loop of those around it.
    fn body(&mut self, word: &str, name: &str, at: usize) -> Result<(), Fault> {
        self.deeper()?;
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let mut nodes = Vec::new();
        match self.list(&mut nodes, false)? {
            Stop::End => return Err(unclosed(word, at)),
            Stop::Keyword("end", _) => self.close("end")?,
            Stop::Keyword(_, at) => {
                return Err(Fault::syntax(at, format!("unexpected {{{{else}}}} in {word} clause")));
            }
        }
        self.variables = variables;
        self.loops = loops;
        self.depth -= 1;
        // The last that says something counts.
        let says_nothing =
            nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
        if !says_nothing || !self.defined.contains_key(name) {
            self.defined.insert(name.to_owned(), nodes);
        }
        Ok(())
    }

    /// Commands between pipes, with the variables that get the value, up to and with `end`.
    fn pipeline(&mut self, context: &str, end: &Token) -> Result<Pipeline, Fault> {
        self.skip_space();
        let at = self.peek().at;
        let (variables, is_assignment) = self.declared(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            self.skip_space();
            let placed = self.peek().clone();
            if placed.token == *end {
                self.next += 1;
                break;
            }
            if !begins_an_operand(&placed.token) {
                return Err(unexpected(&placed, context));
            }
            let command = self.command(&placed)?;
            if !commands.is_empty() && !is_executable(&command.words[0].kind) {
                let stage = commands.len() + 1;
                return Err(Fault::syntax(
                    placed.at,
                    format!("non executable command in pipeline stage {stage}"),
                ));
            }
            commands.push(command);
        }
        if commands.is_empty() {
            return Err(Fault::syntax(at, format!("missing value for {context}")));
        }
        self.variables.extend(variables.iter().filter(|_| !is_assignment).cloned());
        Ok(Pipeline { variables, is_assignment, commands, at })
    }

    /// `$x :=`, `$x =` or, for `range`, `$i, $x :=` in front of a pipeline.
    fn declared(&mut self, context: &str) -> Result<(Vec<String>, bool), Fault> {
        let mut variables = Vec::new();
        let start = self.next;
        loop {
            self.skip_space();
            let Placed { token, at } = self.peek().clone();
            let Token::Variable(name) = token else { break };
            self.next += 1;
            self.skip_space();
            match self.peek().token {
                Token::Comma if context != "range" || !variables.is_empty() => {
                    return Err(Fault::syntax(at, format!("too many declarations in {context}")));
                }
                Token::Comma => {
                    self.next += 1;
                    variables.push(name);
                }
                Token::Declare | Token::Assign => {
                    let is_assignment = self.peek().token == Token::Assign;
                    variables.push(name);
                    if is_assignment
                        && let Some(name) = variables.iter().find(|name| !self.variables.contains(name))
                    {
                        return Err(Fault::syntax(at, format!("undefined variable \"{name}\"")));
                    }
                    self.next += 1;
                    return Ok((variables, is_assignment));
                }
                _ => break,
            }
        }
        if !variables.is_empty() {
            return Err(Fault::syntax(self.peek().at, "range can only initialize variables"));
        }
        self.next = start;
        Ok((variables, false))
    }

    /// Operands up to a pipe or the pipeline's end.
    fn command(&mut self, first: &Placed) -> Result<Command, Fault> {
        let mut words = Vec::new();
        loop {
            self.skip_space();
            if begins_an_operand(&self.peek().token) {
                words.push(self.operand()?);
            }
            let placed = self.peek().clone();
            match placed.token {
                Token::Space => {}
                Token::Close | Token::RightParen => break,
                Token::Pipe => {
                    // Go lets a pipe end in nothing.
                    self.next += 1;
                    break;
                }
                _ => return Err(unexpected(&placed, "operand")),
            }
        }
        if words.is_empty() {
            return Err(Fault::syntax(first.at, "empty command"));
        }
        Ok(Command { words })
    }

    /// A word with the fields behind it.
    fn operand(&mut self) -> Result<Operand, Fault> {
        let mut operand = self.term()?;
        let mut fields = Vec::new();
        while let Token::Field(name) = &self.peek().token {
            fields.push(name.clone());
            self.next += 1;
        }
        if fields.is_empty() {
            return Ok(operand);
        }
        match &mut operand.kind {
            OperandKind::Field(path) | OperandKind::Variable(_, path) => path.extend(fields),
            OperandKind::Paren(_) | OperandKind::Function(_) => {
                let at = operand.at;
                operand = Operand { kind: OperandKind::Chain(Box::new(operand), fields), at };
            }
            _ => return Err(Fault::syntax(operand.at, "unexpected . after a term that has no fields")),
        }
        Ok(operand)
    }

    fn term(&mut self) -> Result<Operand, Fault> {
        let Placed { token, at } = self.take();
        let kind = match token {
            Token::Dot => OperandKind::Dot,
            Token::Field(name) => OperandKind::Field(vec![name]),
            Token::Variable(name) if self.variables.contains(&name) => {
                OperandKind::Variable(name, Vec::new())
            }
            Token::Variable(name) => return Err(Fault::syntax(at, format!("undefined variable \"{name}\""))),
            Token::Number(Number::Int(value)) => OperandKind::Int(value),
            Token::Number(Number::Float(value)) => OperandKind::Float(value),
            Token::Quoted(text) => OperandKind::Text(text),
            Token::LeftParen => {
                self.deeper()?;
                let pipeline = self.pipeline("parenthesized pipeline", &Token::RightParen)?;
                self.depth -= 1;
                OperandKind::Paren(pipeline)
            }
            Token::Word(word) => match word.as_str() {
                "true" | "false" => OperandKind::Bool(word == "true"),
                "nil" => OperandKind::Nil,
                _ if functions::find(&word).is_some() => OperandKind::Function(word),
                _ => return Err(Fault::syntax(at, format!("function \"{word}\" not defined"))),
            },
            token => return Err(unexpected(&Placed { token, at }, "operand")),
        };
        Ok(Operand { kind, at })
    }
}

/// Words that are no functions and no values.
const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

fn begins_an_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => !KEYWORDS.contains(&word.as_str()),
        Token::Dot
        | Token::Field(_)
        | Token::Variable(_)
        | Token::Number(_)
        | Token::Quoted(_)
        | Token::LeftParen => true,
        _ => false,
    }
}

/// Whether a value can be piped into this.
fn is_executable(kind: &OperandKind) -> bool {
    !matches!(
        kind,
        OperandKind::Dot
            | OperandKind::Nil
            | OperandKind::Bool(_)
            | OperandKind::Int(_)
            | OperandKind::Float(_)
            | OperandKind::Text(_)
    )
}

fn unclosed(word: &str, at: usize) -> Fault {
    Fault::syntax(at, format!("{{{{{word}}}}} without {{{{end}}}}"))
}

fn unexpected(placed: &Placed, context: &str) -> Fault {
    let what = match &placed.token {
        Token::Text(_) => "text".to_owned(),
        Token::Open => "{{".to_owned(),
        Token::Close => "}}".to_owned(),
        Token::Space => "space".to_owned(),
        Token::Declare => "\":=\"".to_owned(),
        Token::Assign => "\"=\"".to_owned(),
        Token::Pipe => "\"|\"".to_owned(),
        Token::LeftParen => "\"(\"".to_owned(),
        Token::RightParen => "\")\"".to_owned(),
        Token::Comma => "\",\"".to_owned(),
        Token::Dot => "<.>".to_owned(),
        Token::Field(name) => format!("<.{name}>"),
        Token::Variable(name) => format!("<{name}>"),
        Token::Word(word) => format!("<{word}>"),
        Token::Number(_) => "a number".to_owned(),
        Token::Quoted(text) => format!("\"{text}\""),
        Token::End => "the end".to_owned(),
    };
    Fault::syntax(placed.at, format!("unexpected {what} in {context}"))
}
