//! The composition root: from a configuration to a running service, and back to silence.

mod admin;
mod banner;
mod check;
mod console;
mod ground;
mod guarded;
pub mod operator;
mod registered;
mod running;
#[cfg(test)]
mod silent;
mod start;
#[cfg(any(test, feature = "testing"))]
mod tested;

#[cfg(any(test, feature = "testing"))]
pub(crate) use ground::Ground;
pub use running::Running;

use crate::{
    aggregate::{AggregateDef, EventDef, QueryableDef, UniqueDef},
    config::Config,
    context::Resources,
    contract::{self, Documents, Format},
    document::IndexDef,
    error::{Error, Result},
    handler::HandlerDef,
    http::{Body, Guard, HttpService, Layers},
    message::MessageDef,
    projection::ProjectionDef,
    saga::SagaDef,
    telemetry,
};
use std::path::Path;

/// A service: the handlers of this program, with a configuration.
///
/// ```ignore
/// #[minos::main]
/// async fn main() -> Result<()> {
///     Service::from_config("minos.toml")?.run().await
/// }
/// ```
#[must_use = "a service does nothing before `run` or `start`"]
pub struct Service {
    config: Config,
    modules: Vec<String>,
    resources: Resources,
    layers: Layers,
    /// Who looks who asks, if it is not `[auth]` that says so.
    guard: Option<Guard>,
    /// Handlers beside those of its modules.
    handlers: Vec<&'static HandlerDef>,
}

impl Service {
    /// A service with the configuration of this file. Every key can be overridden by the environment: `MINOS_HTTP_ADDR`.
    ///
    /// # Errors
    /// If the file is not there, or says something that Minos does not understand; the error names the file, the line and the key.
    pub fn from_config(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Service::new(Config::load(path)?))
    }

    /// A service with a configuration in the text of `minos.toml`, and no regard to the environment: for tests.
    ///
    /// # Errors
    /// As [`from_config`](Service::from_config).
    pub fn from_toml(text: &str) -> Result<Self> {
        Ok(Service::new(Config::parse(text)?))
    }

    /// A service with this configuration.
    pub fn new(config: Config) -> Self {
        Service {
            config,
            modules: Vec::new(),
            resources: Resources::default(),
            layers: Layers::default(),
            guard: None,
            handlers: Vec::new(),
        }
    }

    /// Limits the service to the handlers and aggregates of this module and those below it: `module_path!()`, or `"shop::orders"`. Without
    /// it, all handlers of the program are the service's.
    pub fn module(mut self, module: impl Into<String>) -> Self {
        self.modules.push(module.into());
        self
    }

    /// Gives the service a value for its handlers, such as a client of another system; they get it with
    /// [`Context::resource`](crate::Context::resource). There is one of each type.
    pub fn with<T: Send + Sync + 'static>(mut self, resource: T) -> Self {
        self.resources.insert(resource);
        self
    }

    /// Wraps all that the service answers by HTTP in a `tower` layer. The first one added is the innermost.
    pub fn layer<L, S, B>(mut self, layer: L) -> Self
    where
        L: tower::Layer<HttpService, Service = S> + Send + Sync + 'static,
        S: tower::Service<http::Request<Body>, Response = http::Response<B>, Error = std::convert::Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.layers.push(layer);
        self
    }

    /// Lets this guard look who asks, whatever the configuration says.
    #[doc(hidden)]
    pub fn guarded(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// What it promises to others, from its code: OpenAPI, AsyncAPI or `contract.json`, as text. Nothing is opened for it.
    ///
    /// A test may hold it against the file that is committed, so that nobody changes it by accident.
    ///
    /// # Errors
    /// If the service could not start, since its handlers contradict each other.
    pub fn describe(self, format: Format) -> Result<String> {
        start::describe(format, &[self])
    }

    /// Runs the service until it is told to stop: by SIGTERM or Ctrl-C. Then it finishes what it has begun; a second signal ends it
    /// at once.
    ///
    /// # Errors
    /// Why it could not start, in one line for the operator.
    pub async fn run(self) -> Result<()> {
        Service::run_all([self]).await
    }

    /// Runs several services in one process. Each has the handlers of its own modules; those with the broker `local:` share it.
    ///
    /// With `MINOS_EXPORT=openapi`, `asyncapi` or `contract` in the environment, that document is printed instead, and nothing is opened:
    /// `minos contract export` does it.
    ///
    /// # Errors
    /// As [`run`](Service::run).
    pub async fn run_all(services: impl IntoIterator<Item = Service>) -> Result<()> {
        if let Some(format) = contract::wanted()? {
            return start::export(format, &services.into_iter().collect::<Vec<_>>());
        }
        let stop = running::signals()?;
        let running = Service::start_all(services).await?;
        stop.await;
        running::stop_all(running).await;
        telemetry::flush();
        Ok(())
    }

    /// Starts the service, and returns as soon as it answers.
    ///
    /// # Errors
    /// As [`run`](Service::run).
    pub async fn start(self) -> Result<Running> {
        let mut running = Service::start_all([self]).await?;
        running.pop().ok_or_else(|| Error::internal("one service was started"))
    }

    /// Starts several services in this process; see [`run_all`](Service::run_all).
    ///
    /// # Errors
    /// As [`run`](Service::run).
    pub async fn start_all(services: impl IntoIterator<Item = Service>) -> Result<Vec<Running>> {
        let services: Vec<Service> = services.into_iter().collect();
        if let Some(first) = services.first() {
            telemetry::init(&first.config.log);
        }
        start::start_all(services, &ground::Process::default()).await
    }

    /// The length of the longest of the service's modules that this module is in or below; `None` if it is in none.
    fn claim(&self, module: &str) -> Option<usize> {
        if self.modules.is_empty() {
            return Some(0);
        }
        let is_in = |own: &&String| module.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        self.modules.iter().filter(is_in).map(String::len).max()
    }
}

/// Which service each handler belongs to: the one that names the nearest module.
struct Ownership<'s> {
    services: &'s [Service],
}

impl Ownership<'_> {
    /// The service that a module belongs to, by its place in the list.
    fn owner(&self, module: &str) -> Option<usize> {
        let claims = self.services.iter().enumerate().filter_map(|(n, service)| service.claim(module).map(|claim| (claim, n)));
        // The first of equal claims; that there are none of them is checked.
        claims.max_by_key(|(claim, n)| (*claim, std::cmp::Reverse(*n))).map(|(_, n)| n)
    }

    fn handlers(&self, service: usize) -> Vec<&'static HandlerDef> {
        let mut defs: Vec<_> = inventory::iter::<HandlerDef>.into_iter().filter(|def| self.owner(def.module) == Some(service)).collect();
        defs.extend(self.services.get(service).into_iter().flat_map(|service| &service.handlers));
        // The linker gives no order that means anything.
        defs.sort_by_key(|def| (def.module, def.line, def.function));
        defs
    }

    /// What the service tells of itself.
    fn documents(&self, service: usize, handlers: &[&'static HandlerDef]) -> Documents {
        let modules = inventory::iter::<AggregateDef>.into_iter().map(|def| def.module);
        let modules = modules.chain(inventory::iter::<EventDef>.into_iter().map(|def| def.module));
        let modules = modules.chain(inventory::iter::<MessageDef>.into_iter().map(|def| def.module));
        let modules = modules.filter(|module| self.owner(module) == Some(service)).collect();
        let config = self.services.get(service).map(|service| &service.config);
        let name = config.map_or("", |config| config.service.name.as_str());
        let is_closed = config.is_some_and(|config| config.auth.is_some());
        Documents::new(name, is_closed, handlers.to_vec(), self.sagas(service), modules)
    }

    fn sagas(&self, service: usize) -> Vec<&'static SagaDef> {
        let mut defs: Vec<_> = inventory::iter::<SagaDef>.into_iter().filter(|def| self.owner(def.module) == Some(service)).collect();
        defs.sort_by_key(|def| (def.module, def.line));
        defs
    }

    fn queryables(&self, service: usize) -> Vec<&'static QueryableDef> {
        inventory::iter::<QueryableDef>.into_iter().filter(|def| self.owner(def.module) == Some(service)).collect()
    }

    fn uniques(&self, service: usize) -> Vec<&'static UniqueDef> {
        inventory::iter::<UniqueDef>.into_iter().filter(|def| self.owner(def.module) == Some(service)).collect()
    }

    fn indexes(&self, service: usize) -> Vec<&'static IndexDef> {
        inventory::iter::<IndexDef>.into_iter().filter(|def| self.owner(def.module) == Some(service)).collect()
    }

    fn projections(&self, service: usize) -> Vec<&'static ProjectionDef> {
        let mut defs: Vec<_> = inventory::iter::<ProjectionDef>.into_iter().filter(|def| self.owner(def.module) == Some(service)).collect();
        defs.sort_by_key(|def| (def.module, def.line));
        defs
    }

    /// Modules that two services name.
    fn contested(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (n, service) in self.services.iter().enumerate() {
            for other in &self.services[n + 1..] {
                let name = &other.config.service.name;
                if service.config.service.name == *name {
                    wrong.push(format!("two services of this process are named `{name}`"));
                }
                if service.modules.is_empty() && other.modules.is_empty() {
                    wrong.push(format!(
                        "`{}` and `{name}` both claim all handlers: say with `.module(\"…\")` which are whose",
                        service.config.service.name
                    ));
                }
                for module in service.modules.iter().filter(|module| other.modules.contains(module)) {
                    wrong.push(format!("`{}` and `{name}` both claim the module `{module}`", service.config.service.name));
                }
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, modules: &[&str]) -> Service {
        let config = Config::parse(&format!("[service]\nname = \"{name}\"\n[store]\nurl = \"memory:\"")).unwrap();
        modules.iter().fold(Service::new(config), |service, module| service.module(*module))
    }

    #[test]
    fn a_handler_belongs_to_the_service_of_its_nearest_module() {
        let services = [service("a", &["app"]), service("b", &["app::b"]), service("c", &["app::bc"])];
        let ownership = Ownership { services: &services };
        assert_eq!(ownership.owner("app::x"), Some(0));
        assert_eq!(ownership.owner("app::b::y"), Some(1));
        assert_eq!(ownership.owner("app::bc"), Some(2));
        assert_eq!(ownership.owner("other"), None);
        assert!(ownership.contested().is_empty());
    }

    #[test]
    fn two_services_cannot_claim_the_same() {
        let services = [service("a", &[]), service("a", &[])];
        assert_eq!(Ownership { services: &services }.contested().len(), 2);
    }
}
