//! A query over documents, page by page or as a stream.

use super::{Condition, Ordering};
use crate::{
    codec::{hex, unhex},
    context::{Context, store_error},
    error::{Error, Result},
    store::{self, Cursor, Document as Stored, Filter, Order},
};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use std::{fmt, marker::PhantomData};

/// How many rows are read at once by who reads all.
const STRIDE: usize = 500;
/// How many a page has, unless that is said.
const PAGE: usize = 100;

/// What a query finds: a document, or an aggregate as it is.
pub trait Row: Sized + Send + 'static {
    /// Whose fields conditions are about.
    type Of;

    /// Where they are kept.
    #[doc(hidden)]
    const COLLECTION: &'static str;

    /// Reads what is stored.
    #[doc(hidden)]
    fn read(key: &str, body: &str) -> Result<Self>;
}

/// A query. It is run by [`list`](Find::list), [`page`](Find::page), [`first`](Find::first), [`count`](Find::count) or [`stream`](Find::stream).
///
/// What this handler has done and not yet committed is not in it.
#[must_use = "a query is run by `list`, `page`, `first`, `count` or `stream`"]
pub struct Find<'c, R: Row> {
    cx: &'c Context,
    filter: std::result::Result<Filter, String>,
    order: Vec<Order>,
    limit: Option<usize>,
    of: PhantomData<fn() -> R>,
}

impl<R: Row> fmt::Debug for Find<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Find")
            .field("collection", &R::COLLECTION)
            .field("filter", &self.filter)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}

/// A part of what a query finds, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<R> {
    /// What is in it.
    pub items: Vec<R>,
    /// Where the next one begins: to be given to [`Find::page`]. None if there is no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The documents that are looked for, with what is sealed in them opened: once for all types.
async fn found(cx: &Context, _collection: &str, find: store::Find) -> Result<Vec<Stored>> {
    #[allow(unused_mut)]
    let mut documents = cx.environment().store.find(find).await.map_err(store_error)?;
    #[cfg(feature = "sensitive")]
    cx.environment().open_documents(_collection, &mut documents).await.map_err(store_error)?;
    Ok(documents)
}

impl<'c, R: Row> Find<'c, R> {
    pub(crate) fn new(cx: &'c Context, condition: Condition<R::Of>) -> Self {
        Find { cx, filter: condition.into_filter(), order: Vec::new(), limit: None, of: PhantomData }
    }

    /// Also this has to hold.
    pub fn and(mut self, condition: Condition<R::Of>) -> Self {
        self.filter = match (self.filter, condition.into_filter()) {
            (Ok(one), Ok(other)) => Ok(Filter::All(vec![one, other])),
            (Err(wrong), _) | (_, Err(wrong)) => Err(wrong),
        };
        self
    }

    /// Sorts by a field: `Balance::cents().descending()`. A second call sorts those that are equal by the first. What is equal by all is sorted by key.
    pub fn order_by(mut self, order: impl Into<Ordering<R::Of>>) -> Self {
        self.order.push(order.into().into_order());
        self
    }

    /// At most so many; of a page, 100 unless that is said.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// All of them, or as many as the [limit](Find::limit) says.
    ///
    /// # Errors
    /// If the store does not answer, or what is stored cannot be read as this type.
    pub async fn list(self) -> Result<Vec<R>> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let left = self.limit.map_or(STRIDE, |limit| limit.saturating_sub(all.len()).min(STRIDE));
            let rows = self.rows(after.take(), left).await?;
            let is_last = rows.len() < left || left == 0;
            after = rows.last().map(|row| Cursor::behind(row, &self.order));
            for row in &rows {
                all.push(R::read(&row.key, &row.body)?);
            }
            if is_last || self.limit.is_some_and(|limit| all.len() >= limit) {
                return Ok(all);
            }
        }
    }

    /// The first one.
    ///
    /// # Errors
    /// As [`list`](Find::list).
    pub async fn first(self) -> Result<Option<R>> {
        Ok(self.limit(1).list().await?.into_iter().next())
    }

    /// A page, which begins where the one before has said, or at the front.
    ///
    /// # Errors
    /// As [`list`](Find::list), and [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if `after` is none of this query.
    pub async fn page(self, after: Option<&str>) -> Result<Page<R>> {
        let limit = self.limit.unwrap_or(PAGE);
        let after = after.map(|text| self.parse(text)).transpose()?;
        // One more, to know whether there is one more.
        let mut rows = self.rows(after, limit.saturating_add(1)).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last().filter(|_| more) {
            Some(last) => Some(hex(&serde_json::to_vec(&Cursor::behind(last, &self.order))?)),
            None => None,
        };
        let items = rows.iter().map(|row| R::read(&row.key, &row.body)).collect::<Result<_>>()?;
        Ok(Page { items, next })
    }

    /// How many there are.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn count(self) -> Result<u64> {
        let filter = self.asked()?;
        self.cx.environment().store.count(R::COLLECTION, filter).await.map_err(store_error)
    }

    /// One after the other, of which only some are in memory at once.
    pub fn stream(self) -> impl Stream<Item = Result<R>> + Send + 'c {
        let state = (self, Vec::new().into_iter(), None::<Cursor>, false, 0);
        stream::try_unfold(
            state,
            async |(find, mut ready, mut after, mut ended, mut given): (Self, std::vec::IntoIter<Stored>, _, bool, usize)| {
                loop {
                    if find.limit.is_some_and(|limit| given >= limit) {
                        return Ok(None);
                    }
                    if let Some(row) = ready.next() {
                        given += 1;
                        let item = R::read(&row.key, &row.body)?;
                        return Ok(Some((item, (find, ready, after, ended, given))));
                    }
                    if ended {
                        return Ok(None);
                    }
                    let rows = find.rows(after.take(), STRIDE).await?;
                    ended = rows.len() < STRIDE;
                    after = rows.last().map(|row| Cursor::behind(row, &find.order));
                    ready = rows.into_iter();
                }
            },
        )
    }

    async fn rows(&self, after: Option<Cursor>, limit: usize) -> Result<Vec<Stored>> {
        let find = store::Find { collection: R::COLLECTION.into(), filter: self.asked()?, order: self.order.clone(), after, limit };
        found(self.cx, R::COLLECTION, find).await
    }

    fn asked(&self) -> Result<Filter> {
        self.filter.clone().map_err(Error::internal)
    }

    fn parse(&self, text: &str) -> Result<Cursor> {
        let cursor = unhex(text).and_then(|bytes| serde_json::from_slice::<Cursor>(&bytes).ok());
        cursor
            .filter(|cursor| cursor.values.len() == self.order.len())
            .ok_or_else(|| Error::invalid("this is not where a page of this query ends"))
    }
}
