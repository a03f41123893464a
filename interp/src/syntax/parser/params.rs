//! Parameters of functions.

use super::super::ast::{Parameter, Parameters, Pattern};
use super::super::finding::{Fault, What};
use super::super::source::Span;
use super::super::symbol::Symbol;
use super::super::token::Kind;
use super::{Parser, Result};

impl<'t> Parser<'_, 't> {
    /// Parameters up to (not including) `end`, which is `)` or `:`.
    pub(super) fn parameters(&mut self, end: Kind) -> Result<Parameters<'t>> {
        let mut parameters = Parameters::default();
        let mut names = Vec::new();
        let mut positional = Vec::new();
        let mut defaults = false;
        while !self.at(end) {
            match self.token.kind {
                Kind::Star => {
                    self.advance();
                    parameters.star = Some(self.parameter_name(&mut names)?);
                    if self.eat(Kind::Comma) {
                        if !self.at(Kind::DoubleStar) {
                            return Err(self.after_star());
                        }
                        continue;
                    }
                    break;
                }
                Kind::DoubleStar => {
                    self.advance();
                    parameters.double_star = Some(self.parameter_name(&mut names)?);
                    break;
                }
                _ => {
                    let start = self.start();
                    let (pattern, parenthesized) = self.pattern(&mut names)?;
                    let span = self.span_from(start);
                    let default = match self.eat(Kind::Assign) {
                        true => Some(self.test()?),
                        false => None,
                    };
                    let fault = match default {
                        Some(_) if parenthesized => {
                            Some(Fault::syntax("parenthesized arg with default", "take the parentheses away"))
                        }
                        None if defaults => Some(Fault::syntax(
                            "non-default argument follows default argument",
                            "put the parameters without a default first",
                        )),
                        _ => None,
                    };
                    if let Some(fault) = fault {
                        self.note(span, What::Syntax(fault));
                    }
                    defaults |= default.is_some();
                    positional.push(Parameter { pattern, default, span });
                    if !self.eat(Kind::Comma) {
                        break;
                    }
                }
            }
        }
        self.check_duplicates(&names);
        parameters.positional = self.tree.row(&positional);
        parameters.names = self.tree.row(&names);
        Ok(parameters)
    }

    fn parameter_name(&mut self, names: &mut Vec<(Symbol, Span)>) -> Result<Symbol> {
        if self.at(Kind::Comma) && self.previous.kind == Kind::Star {
            return Err(self.after_star());
        }
        let token = self.expect(Kind::Name)?;
        self.check_assignable(token.symbol, token.span);
        names.push((token.symbol, token.span));
        Ok(token.symbol)
    }

    fn after_star(&mut self) -> super::Stop {
        let fault = Fault::invalid(
            "parameters behind `*` belong to Python 3",
            "only `**name` may follow `*name`; give the parameter a default instead",
        );
        self.fail(self.token.span, fault)
    }

    /// A parameter's pattern; true if it stands in parentheses of no use.
    fn pattern(&mut self, names: &mut Vec<(Symbol, Span)>) -> Result<(Pattern<'t>, bool)> {
        if !self.at(Kind::OpenParen) {
            return Ok((Pattern::Name(self.parameter_name(names)?), false));
        }
        self.nested(|parser| {
            parser.advance();
            let (first, _) = parser.pattern(names)?;
            if parser.eat(Kind::CloseParen) {
                return Ok((first, true));
            }
            let mut parts = vec![first];
            while parser.eat(Kind::Comma) {
                if parser.at(Kind::CloseParen) {
                    break;
                }
                parts.push(parser.pattern(names)?.0);
            }
            parser.expect(Kind::CloseParen)?;
            Ok((Pattern::Unpack(parser.tree.row(&parts)), false))
        })
    }

    fn check_duplicates(&mut self, names: &[(Symbol, Span)]) {
        if names.len() < 2 {
            return;
        }
        let mut names = names.to_vec();
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [(name, _), (same, span)] = pair {
                if name == same {
                    let text = self.lexer.symbols.name(*name);
                    let message = format!("duplicate argument '{text}' in function definition");
                    self.refuse(*span, message, "give each parameter its own name");
                }
            }
        }
    }
}
