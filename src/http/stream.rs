//! JSON documents that are streamed item by item.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt as _};
use serde::Serialize;

use super::problem::Problem;

/// Answers with the object `head`, whose last key is `items` with an empty list, and streams the items into that list.
/// One item is in memory at a time; the next is read when the client has taken the last.
///
/// A failure after the first byte cannot become a problem any more: the body breaks off, which clients report as
/// incomplete.
pub fn object_with_items<T, E>(
    head: &impl Serialize,
    items: impl Stream<Item = Result<T, E>> + Send + 'static,
) -> Result<Response, Problem>
where
    T: Serialize + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let head = serde_json::to_string(head).map_err(|_| Problem::internal())?;
    let Some(begin) = head.strip_suffix("]}").map(str::to_owned) else {
        return Err(Problem::internal());
    };
    let items = items.enumerate().map(|(index, item)| {
        let item = item.inspect_err(|error| tracing::error!(%error, "an answer is incomplete"))?;
        let mut text = if index == 0 { Vec::new() } else { vec![b','] };
        serde_json::to_writer(&mut text, &item)?;
        Ok::<_, axum::BoxError>(Bytes::from(text))
    });
    let whole = stream::iter([Ok(Bytes::from(begin))])
        .chain(items)
        .chain(stream::iter([Ok(Bytes::from_static(b"]}"))]));
    let mut response = Body::from_stream(whole).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Serialize)]
    struct Head {
        id: u32,
        items: Vec<u32>,
    }

    const HEAD: Head = Head {
        id: 7,
        items: Vec::new(),
    };

    async fn body(response: Response) -> Result<Value, axum::Error> {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
        Ok(serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[tokio::test]
    async fn items_come_in_order_within_the_object() {
        for count in [0, 1, 3] {
            let items = (0..count).collect::<Vec<_>>();
            let response = object_with_items(&HEAD, stream::iter(items.clone()).map(Ok::<_, std::io::Error>)).unwrap();
            assert_eq!(body(response).await.unwrap(), json!({"id": 7, "items": items}));
        }
    }

    #[tokio::test]
    async fn a_failure_halfway_breaks_the_body_off() {
        let items = stream::iter([Ok(1), Err(std::io::Error::other("away"))]);
        let response = object_with_items(&HEAD, items).unwrap();
        assert!(body(response).await.is_err());
    }
}
