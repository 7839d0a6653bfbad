//! `--format`: Go's text/template with Docker's functions, made anew: text → [`lex`] tokens → [`parse`] tree →
//! [`exec`] text.
//!
//! Templates come from whoever types a command, so they are as hostile as any other input: source, nesting, steps and
//! letters are bounded. A template is parsed only when one was asked for.
//!
//! It does not know what it renders: [`value`] is the door, made of JSON by `shape` and of rows by `listing`.

pub mod error;
pub mod escape;
pub mod value;

mod compare;
mod exec;
mod functions;
mod lex;
mod literal;
mod node;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use error::TemplateError;
pub use exec::MissingKey;
use node::{Node, Operand, OperandKind, Pipeline};
use value::Value;

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    source: String,
    tree: parse::Tree,
}

impl Template {
    /// Parses a template.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let tree = parse::parse(source).map_err(|fault| fault.locate(source))?;
        Ok(Self { source: source.to_owned(), tree })
    }

    /// The text for one value.
    pub fn render(&self, value: &Value) -> Result<String, TemplateError> {
        self.render_with(value, MissingKey::Nothing)
    }

    /// The text for one value, where missing keys of maps may be errors.
    pub fn render_with(&self, value: &Value, missing_key: MissingKey) -> Result<String, TemplateError> {
        exec::render(&self.tree, value, missing_key).map_err(|fault| fault.locate(&self.source))
    }

    /// The first line of a table whose rows this template makes.
    pub fn heading(&self, headings: &Value) -> String {
        exec::heading(&self.tree, headings)
    }

    /// Whether the template names this field of any value, or the whole of one.
    pub fn uses(&self, field: &str) -> bool {
        let mut lists = vec![&self.tree.root];
        lists.extend(self.tree.defined.values());
        lists.into_iter().any(|nodes| nodes_use(nodes, field))
    }
}

fn nodes_use(nodes: &[Node], field: &str) -> bool {
    nodes.iter().any(|node| match node {
        Node::Text(_) | Node::Break | Node::Continue => false,
        Node::Action(pipeline) => pipeline_uses(pipeline, field),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
            pipeline_uses(&branch.pipeline, field)
                || nodes_use(&branch.then, field)
                || nodes_use(&branch.otherwise, field)
        }
        Node::Template { argument, .. } => {
            argument.as_ref().is_some_and(|pipeline| pipeline_uses(pipeline, field))
        }
    })
}

fn pipeline_uses(pipeline: &Pipeline, field: &str) -> bool {
    pipeline.commands.iter().flat_map(|command| &command.words).any(|word| operand_uses(word, field))
}

fn operand_uses(operand: &Operand, field: &str) -> bool {
    let named = |path: &[String]| path.iter().any(|name| name == field);
    match &operand.kind {
        OperandKind::Dot => true,
        OperandKind::Field(path) => named(path),
        OperandKind::Variable(_, path) => path.is_empty() || named(path),
        OperandKind::Paren(pipeline) => pipeline_uses(pipeline, field),
        OperandKind::Chain(inner, path) => named(path) || operand_uses(inner, field),
        _ => false,
    }
}
