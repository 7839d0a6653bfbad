//! `--format` of the commands that print one object each: `inspect`, `version`, `info`.

use serde_json::Value as Json;

use crate::error::{Failure, Result};
use crate::shape::{self, Shape};
use crate::template::{MissingKey, Template, escape};

/// What to print of an object.
pub enum ObjectFormat {
    /// Indented, or the command's own text.
    Default,
    /// JSON in a line.
    Json,
    /// A template.
    Template(Template),
}

impl ObjectFormat {
    /// Parses the flag's value.
    pub fn parse(format: Option<&str>) -> Result<Self> {
        match format.unwrap_or_default() {
            "" => Ok(Self::Default),
            "json" => Ok(Self::Json),
            text => {
                let template =
                    Template::parse(text).map_err(|error| Failure::ObjectTemplate(Box::new(error)))?;
                Ok(Self::Template(template))
            }
        }
    }
}

/// The text of a template for an object.
///
/// As in Docker, a template that doesn't fit the struct is tried on the plain JSON: `{{.ID}}` works by the first,
/// `{{.Id}}` by the second.
pub fn render(template: &Template, shape: Shape, json: &Json) -> Result<String> {
    // Where no shape says which fields there are, one that isn't there would be told as `<no value>`.
    if !matches!(shape, Shape::Any)
        && let Ok(text) = template.render(&shape::value(shape, Some(json)))
    {
        return Ok(text);
    }
    let rendered = template.render_with(&shape::any(json), MissingKey::Error);
    rendered.map_err(|error| Failure::ObjectTemplate(Box::new(error)))
}

/// JSON in a line, in the order of the shape.
pub fn line(shape: Shape, json: &Json) -> String {
    escape::json(&shape::value(shape, Some(json)))
}
