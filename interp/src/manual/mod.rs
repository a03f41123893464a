//! The manual pages of the language and the API, from their tables.

mod api;
mod language;

/// A page by its name; none if there is no such page.
pub fn page(name: &[u8]) -> Option<String> {
    match name {
        b"repy-language" => Some(language::page()),
        b"repy-api" => Some(api::page()),
        _ => None,
    }
}
