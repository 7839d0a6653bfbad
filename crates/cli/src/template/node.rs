//! What the parser makes of a template: nodes, pipelines, commands, operands.

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// As it stands.
    Text(String),
    /// `{{pipeline}}`
    Action(Pipeline),
    /// `{{if}}`
    If(Branch),
    /// `{{with}}`
    With(Branch),
    /// `{{range}}`
    Range(Branch),
    /// `{{template "name" pipeline}}`
    Template {
        /// The template's name.
        name: String,
        /// What its dot is.
        argument: Option<Pipeline>,
        /// Where it stands.
        at: usize,
    },
    /// `{{break}}`
    Break,
    /// `{{continue}}`
    Continue,
}

/// What `if`, `with` and `range` have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// What is looked at.
    pub pipeline: Pipeline,
    /// If there is something to it.
    pub then: Vec<Node>,
    /// If there isn't.
    pub otherwise: Vec<Node>,
}

/// `$a, $b := command | command`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Variables that get the value.
    pub variables: Vec<String>,
    /// `=` instead of `:=`.
    pub is_assignment: bool,
    /// The commands, from left to right.
    pub commands: Vec<Command>,
    /// Where it stands.
    pub at: usize,
}

/// An operand, or a function or field with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The first is what is called.
    pub words: Vec<Operand>,
}

/// One word of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// What it is.
    pub kind: OperandKind,
    /// Where it stands.
    pub at: usize,
}

/// What a word of a command is.
#[derive(Debug, Clone, PartialEq)]
pub enum OperandKind {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// A whole number or a character.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A string.
    Text(String),
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    /// `(pipeline)`
    Paren(Pipeline),
    /// Fields of what another operand gives: `(pipeline).a.b`
    Chain(Box<Operand>, Vec<String>),
    /// A function's name.
    Function(String),
}
