//! `tower` layers of the user around all of HTTP, and what stands behind them.

use super::{App, Body, body::BoxError};
use bytes::Bytes;
use std::{convert::Infallible, sync::Arc};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

/// A request, as layers see it.
pub type Request = http::Request<Body>;
/// An answer, as layers see it.
pub type Response = http::Response<Body>;
/// All of a service's HTTP, as layers see it.
pub type HttpService = BoxCloneSyncService<Request, Response, Infallible>;

type Wrap = Box<dyn FnOnce(HttpService) -> HttpService + Send + Sync>;

/// Who answers requests: the app, or the app in layers. Cheap to clone.
#[derive(Clone)]
pub struct Way(Kind);

#[derive(Clone)]
enum Kind {
    Bare(App),
    Layered(HttpService),
}

impl Way {
    /// Through these layers to the app.
    pub fn new(app: App, layers: Layers) -> Self {
        Way(match layers.around(app.clone()) {
            Some(layered) => Kind::Layered(layered),
            None => Kind::Bare(app),
        })
    }

    /// Answers a request, whatever happens.
    ///
    /// # Errors
    /// None: `tower` and `hyper` want to be told so.
    pub async fn answer<B>(self: Arc<Self>, request: http::Request<B>) -> Result<Response, Infallible>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match &self.0 {
            Kind::Bare(app) => Ok(app.answer(request).await.map(Body::from)),
            Kind::Layered(service) => service.clone().oneshot(request.map(Body::new)).await,
        }
    }
}

/// Layers to put around a service's HTTP.
#[derive(Default)]
pub struct Layers(Vec<Wrap>);

impl Layers {
    /// Adds a layer around those that are there.
    pub fn push<L, S, B>(&mut self, layer: L)
    where
        L: Layer<HttpService, Service = S> + Send + Sync + 'static,
        S: Service<Request, Response = http::Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.0.push(Box::new(move |inner| BoxCloneSyncService::new(layer.layer(inner).map_response(|response| response.map(Body::new)))));
    }

    /// The app in its layers; `None` if there are none, which is faster than none around it.
    fn around(self, app: App) -> Option<HttpService> {
        if self.0.is_empty() {
            return None;
        }
        let bare = service_fn(move |request: Request| {
            let app = app.clone();
            async move { Ok(app.answer(request).await.map(Body::from)) }
        });
        Some(self.0.into_iter().fold(BoxCloneSyncService::new(bare), |inner, wrap| wrap(inner)))
    }
}
