//! The handler of an event: of an aggregate of its own service, or of another one, which need not be there when this one is tested or run.

use super::{Kind, declares, refers_to};
use crate::{
    error::{CliError, CliResult},
    new::fill,
    project::{Member, Project, TypeName, snake},
};
use minos_runtime::message::{EventName, SetChange};

/// An event that something is done about.
pub(super) struct Handled<'n> {
    name: &'n str,
    event: EventName<'n>,
}

/// Whose event it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The service that handles it.
    Itself,
    /// Another service of the project.
    Other(String),
    /// None of the project.
    Unknown,
}

impl<'n> Handled<'n> {
    pub(super) fn parse(name: &'n str) -> CliResult<Self> {
        let is_word =
            |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let wrong = || {
            CliError::said(format!(
                "`{name}` is no name of an event: such are `OrderCreated`, `OrderUpdated.field`, `OrderUpdated.set.create` and `Account.MoneyDeposited`"
            ))
        };
        if !name.split('.').all(is_word) {
            return Err(wrong());
        }
        match EventName::parse(name) {
            // Only what is updated has fields.
            Some(event) if event.event.contains('.') || (name.contains('.') && EventName::parse(event.aggregate).is_some()) => Err(wrong()),
            Some(event) => Ok(Handled { name, event }),
            None if name.contains('.') => Err(wrong()),
            None => Err(CliError::said(format!(
                "`{name}` does not say whose event it is: `OrderCreated`, `OrderUpdated`, `OrderUpdated.field`, `OrderDeleted`, or `Order.{name}` for an event of the domain"
            ))),
        }
    }

    pub(super) fn aggregate(&self) -> &'n str {
        self.event.aggregate
    }

    pub(super) fn module(&self) -> String {
        let words: Vec<String> = self.name.split('.').map(snake).collect();
        format!("on_{}", words.join("_"))
    }

    /// Whose event it is, seen from a service.
    pub(super) fn owner(&self, project: &Project, member: &Member) -> CliResult<Owner> {
        let has_it = |text: &str| declares(text, self.event.aggregate);
        if member.finds(has_it)?.is_some() {
            return Ok(Owner::Itself);
        }
        Ok(project.finds(has_it)?.map_or(Owner::Unknown, |(other, _)| Owner::Other(other.name)))
    }

    /// The text of its module. What is another service's is told here once to be that.
    pub(super) fn source(&self, owner: &Owner, member: &Member) -> CliResult<String> {
        let module = self.module();
        if *owner == Owner::Itself {
            return Ok(fill(Kind::Event.template(), &[("Name", self.name), ("module", &module)]));
        }
        let aggregate = self.event.aggregate;
        // There will be a type of its name.
        let _: TypeName = aggregate.parse().map_err(CliError::Said)?;
        let reference = match member.finds(|text| refers_to(text, aggregate))? {
            Some(_) => String::new(),
            None => fill(include_str!("../../templates/add/reference.rs"), &[("aggregate", aggregate)]),
        };
        // Its first state reads as the aggregate does.
        let is_first = self.event.event.strip_prefix(aggregate) == Some("Created");
        let content = if is_first && !reference.is_empty() { aggregate } else { "serde_json::Value" };
        // A test tells of the event, and not of a part of it.
        let whole = if self.event.field.is_some() { self.event.event } else { self.name };
        let values = [
            ("Name", self.name),
            ("module", &module),
            ("reference", &reference),
            ("content", content),
            ("whole", whole),
            ("example", &self.example()),
        ];
        Ok(fill(include_str!("../../templates/add/event_elsewhere.rs"), &values))
    }

    /// A content for which its handler is called.
    fn example(&self) -> String {
        const ENTRY: &str = "01900000-0000-7000-8000-000000000001";
        match (self.event.field, self.event.change) {
            (None, _) => "{}".to_owned(),
            (Some(field), None) => format!("{{ \"{field}\": \"new\" }}"),
            (Some(field), Some(change)) => {
                let what = match change {
                    SetChange::Create | SetChange::Update => format!("{{ \"{ENTRY}\": {{}} }}"),
                    SetChange::Delete => format!("[\"{ENTRY}\"]"),
                };
                format!("{{ \"$sets\": {{ \"{field}\": {{ \"{}\": {what} }} }} }}", change.word())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_event_it_is() {
        for (name, aggregate, module) in [
            ("OrderCreated", "Order", "on_order_created"),
            ("OrderUpdated.name", "Order", "on_order_updated_name"),
            ("OrderUpdated.lines.create", "Order", "on_order_updated_lines_create"),
            ("Account.MoneyDeposited", "Account", "on_account_money_deposited"),
        ] {
            let handled = Handled::parse(name).unwrap();
            assert_eq!((handled.aggregate(), handled.module().as_str()), (aggregate, module));
        }
        for (name, told) in [
            ("MoneyDeposited", "`MoneyDeposited` does not say whose event it is: "),
            ("Order.", "`Order.` is no name of an event: such are "),
            ("OrderUpdated.lines.made", "no name of an event"),
            ("OrderCreated.name", "no name of an event"),
            ("Order.Placed.at", "no name of an event"),
            ("Order-Created", "no name of an event"),
        ] {
            let wrong = Handled::parse(name).err().unwrap().to_string();
            assert!(wrong.contains(told), "{name}: {wrong}");
        }
    }

    #[test]
    fn a_test_tells_of_what_its_handler_is_called_for() {
        let example = |name: &str| Handled::parse(name).unwrap().example();
        assert_eq!(example("Account.MoneyDeposited"), "{}");
        assert_eq!(example("OrderUpdated.name"), r#"{ "name": "new" }"#);
        for (change, what) in [("create", "{"), ("update", "{"), ("delete", "[")] {
            let told: serde_json::Value = serde_json::from_str(&example(&format!("OrderUpdated.lines.{change}"))).unwrap();
            let found = &told["$sets"]["lines"][change];
            assert!(found.to_string().starts_with(what), "{told}");
        }
    }
}
