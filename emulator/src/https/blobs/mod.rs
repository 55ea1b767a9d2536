//! A blob store as far as the upload of files needs it, in the form of Azure Blob Storage: Put Blob,
//! Put Block, Put Block List, Get Blob and Get Blob Properties, with the signature that the hub gave
//! out in the query.

mod refusal;

use std::io::SeekFrom;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::unfold;
use iothub_mqtt::hub::percent;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::broker::Broker;
use crate::files::{Access, Blob, CONTAINER, Condition, Files, parameter, parse_block_list};
use refusal::Refusal;

/// What the list of the blocks of a blob may have in bytes.
const MAX_LIST: usize = 8 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;
/// The version of the storage service that is answered where none is asked for.
const VERSION: &str = "2018-03-28";

pub(super) fn router() -> Router<Arc<Broker>> {
    Router::new().route(&format!("/{CONTAINER}/{{*blob}}"), any(serve))
}

async fn serve(State(broker): State<Arc<Broker>>, request: Request) -> Response {
    let echoed = ["x-ms-client-request-id", "x-ms-version"].map(|name| request.headers().get(name).cloned());
    let mut response = match answer(&broker.files, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    let [client_id, version] = echoed;
    if let Some(id) = client_id {
        headers.insert("x-ms-client-request-id", id);
    }
    headers.insert("x-ms-version", version.unwrap_or(HeaderValue::from_static(VERSION)));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-ms-request-id", id);
    }
    response
}

async fn answer(files: &Files, request: Request) -> Result<Response, Refusal> {
    let path = request.uri().path();
    let blob = path.strip_prefix('/').and_then(|path| path.strip_prefix(CONTAINER));
    let blob = blob.and_then(|blob| percent::decode(blob.strip_prefix('/')?).ok());
    let blob = blob.ok_or(Refusal::URI)?.into_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let access = match *request.method() {
        Method::GET | Method::HEAD => Access::Read,
        Method::PUT => Access::Write,
        Method::DELETE => Access::Delete,
        _ => return Err(Refusal::METHOD),
    };
    files.check(&blob, &query, access, Timestamp::now())?;
    let component = parameter(&query, "comp");
    match (access, component.as_deref()) {
        (Access::Read, None) => {
            let (parts, _) = request.into_parts();
            read(files, &blob, &parts.headers, parts.method == Method::HEAD).await
        }
        (Access::Write, None) => put_blob(files, &blob, request).await,
        (Access::Write, Some("block")) => put_block(files, &blob, &query, request).await,
        (Access::Write, Some("blocklist")) => put_block_list(files, &blob, request).await,
        (Access::Delete, _) => Err(Refusal::PERMISSION),
        _ => Err(Refusal::query("comp")),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn condition(headers: &HeaderMap) -> Condition {
    Condition {
        absent: text(headers, "if-none-match") == Some("*"),
        etag: text(headers, "if-match").map(str::to_owned),
    }
}

fn content_type(headers: &HeaderMap, fallback: &str) -> String {
    let given = text(headers, "x-ms-blob-content-type").or_else(|| text(headers, fallback));
    given.unwrap_or("application/octet-stream").to_owned()
}

/// Storage wants to know how much there is to come.
fn need_length(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::CONTENT_LENGTH) { Ok(()) } else { Err(Refusal::LENGTH) }
}

async fn put_blob(files: &Files, name: &str, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    match text(&parts.headers, "x-ms-blob-type") {
        Some("BlockBlob") => {}
        Some(_) => return Err(Refusal::BLOB_TYPE),
        None => return Err(Refusal::missing("x-ms-blob-type")),
    }
    need_length(&parts.headers)?;
    let condition = condition(&parts.headers);
    // Said before a large body comes, and again when it is there.
    if condition.absent && files.blobs.get(name).is_some() {
        return Err(Refusal::EXISTS);
    }
    let part = files.blobs.receive(body.into_data_stream()).await?;
    let kind = content_type(&parts.headers, "content-type");
    Ok(created(&files.blobs.put(name, &part, &kind, &condition)?))
}

async fn put_block(files: &Files, name: &str, query: &str, request: Request) -> Result<Response, Refusal> {
    let id = parameter(query, "blockid").ok_or(Refusal::query("blockid"))?;
    let decoded = STANDARD.decode(&id).map_err(|_| Refusal::query("blockid"))?;
    if !(1..=64).contains(&decoded.len()) {
        return Err(Refusal::query("blockid"));
    }
    need_length(request.headers())?;
    let part = files.blobs.receive(request.into_body().into_data_stream()).await?;
    files.blobs.put_block(name, &id, part)?;
    Ok((StatusCode::CREATED, [("x-ms-request-server-encrypted", "true")]).into_response())
}

async fn put_block_list(files: &Files, name: &str, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_LIST).await.map_err(|_| Refusal::XML)?;
    let xml = std::str::from_utf8(&body).map_err(|_| Refusal::XML)?;
    let list = parse_block_list(xml).map_err(|_| Refusal::XML)?;
    // The type of this request is that of the list.
    let kind = content_type(&parts.headers, "x-ms-blob-content-type");
    let blob = files.blobs.put_list(name, &list, &kind, &condition(&parts.headers)).await?;
    Ok(created(&blob))
}

fn created(blob: &Blob) -> Response {
    let headers = [
        ("etag", blob.etag.clone()),
        ("last-modified", http_date(blob.modified)),
        ("x-ms-request-server-encrypted", "true".to_owned()),
    ];
    (StatusCode::CREATED, headers).into_response()
}

async fn read(files: &Files, name: &str, headers: &HeaderMap, head: bool) -> Result<Response, Refusal> {
    let blob = files.blobs.get(name).ok_or(Refusal::NOT_FOUND)?;
    let range = text(headers, "x-ms-range").or_else(|| text(headers, "range"));
    // Of the properties there is no part.
    let range = range.filter(|_| !head);
    let (status, first, last) = match range {
        None => (StatusCode::OK, 0, blob.size),
        Some(range) => {
            let (first, last) = bounds(range, blob.size).ok_or(Refusal::RANGE)?;
            (StatusCode::PARTIAL_CONTENT, first, last)
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, &blob.content_type)
        .header(header::CONTENT_LENGTH, last - first)
        .header(header::ETAG, &blob.etag)
        .header(header::LAST_MODIFIED, http_date(blob.modified))
        .header(header::ACCEPT_RANGES, "bytes")
        // A device chose the type and wrote what it liked, and the hub's own page is on this origin.
        .header(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header("x-ms-blob-type", "BlockBlob")
        .header("x-ms-server-encrypted", "true");
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{}", last - 1, blob.size);
        response = response.header(header::CONTENT_RANGE, range);
    }
    let body = if head { Body::empty() } else { content(&blob, first, last).await? };
    response.body(body).map_err(|_| Refusal::INTERNAL)
}

/// The bytes of a blob from `first` up to `last`, which is not among them.
async fn content(blob: &Blob, first: u64, last: u64) -> std::io::Result<Body> {
    let mut file = tokio::fs::File::open(&blob.path).await?;
    file.seek(SeekFrom::Start(first)).await?;
    let chunks = unfold(file.take(last - first), async |mut file| {
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk).await {
            Ok(0) => None,
            Ok(count) => {
                chunk.truncate(count);
                Some((Ok(chunk), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    Ok(Body::from_stream(chunks))
}

/// The first byte of `bytes=first-last` and the one after the last; `None` where the blob has none of them.
fn bounds(range: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.trim().parse().ok()?;
    let last = match last.trim() {
        "" => size,
        last => last.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    (first < last).then_some((first, last))
}

fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_what_there_is() {
        for (range, size, expected) in [
            ("bytes=0-33554431", 5, Some((0, 5))),
            ("bytes=2-3", 5, Some((2, 4))),
            ("bytes=2-", 5, Some((2, 5))),
            ("bytes=4-4", 5, Some((4, 5))),
            ("bytes=5-", 5, None),
            ("bytes=0-0", 0, None),
            ("bytes=3-2", 5, None),
            ("bytes=-2", 5, None),
            ("bytes=0-18446744073709551615", 5, Some((0, 5))),
            ("lines=0-1", 5, None),
        ] {
            assert_eq!(bounds(range, size), expected, "{range}");
        }
    }

    #[test]
    fn dates_have_the_form_of_http() {
        assert_eq!(http_date(Timestamp::UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
