//! Refusals in the form of Azure Storage.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::files::{Denied, Unwritten};

/// A status, Azure Storage's word for the error and a text for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    /// The parameter or header that it is about.
    about: Option<&'static str>,
}

const fn refusal(status: StatusCode, code: &'static str, message: &'static str) -> Refusal {
    Refusal { status, code, message, about: None }
}

impl Refusal {
    pub(super) const URI: Self =
        refusal(StatusCode::BAD_REQUEST, "InvalidUri", "The path is not percent-encoded UTF-8.");
    pub(super) const METHOD: Self = refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        "UnsupportedHttpVerb",
        "A blob is read with GET and HEAD and written with PUT.",
    );
    pub(super) const LENGTH: Self =
        refusal(StatusCode::LENGTH_REQUIRED, "MissingContentLengthHeader", "Content-Length must be given.");
    pub(super) const BLOB_TYPE: Self =
        refusal(StatusCode::BAD_REQUEST, "UnsupportedHeader", "x-ms-blob-type must be BlockBlob.");
    pub(super) const EXISTS: Self =
        refusal(StatusCode::CONFLICT, "BlobAlreadyExists", "The blob exists already.");
    pub(super) const PERMISSION: Self = refusal(
        StatusCode::FORBIDDEN,
        "AuthorizationPermissionMismatch",
        "The signature allows reading and writing, nothing else.",
    );
    pub(super) const XML: Self = refusal(
        StatusCode::BAD_REQUEST,
        "InvalidXmlDocument",
        "The body must be a BlockList of Latest, Uncommitted and Committed.",
    );
    pub(super) const NOT_FOUND: Self =
        refusal(StatusCode::NOT_FOUND, "BlobNotFound", "The blob does not exist.");
    pub(super) const RANGE: Self =
        refusal(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", "The blob has no such bytes.");
    pub(super) const INTERNAL: Self =
        refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The file of the blob cannot be used.");

    pub(super) const fn query(name: &'static str) -> Self {
        let message = "A parameter of the query is missing or has no usable value.";
        let refusal = refusal(StatusCode::BAD_REQUEST, "InvalidQueryParameterValue", message);
        Self { about: Some(name), ..refusal }
    }

    pub(super) const fn missing(name: &'static str) -> Self {
        let refusal = refusal(StatusCode::BAD_REQUEST, "MissingRequiredHeader", "A header is missing.");
        Self { about: Some(name), ..refusal }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Missing => refusal(
                StatusCode::UNAUTHORIZED,
                "NoAuthenticationInformation",
                "The query has no shared access signature.",
            ),
            Denied::Signature => refusal(
                StatusCode::FORBIDDEN,
                "AuthenticationFailed",
                "The signature in the query is not the one that the hub gave out for this blob.",
            ),
            Denied::Expired => refusal(
                StatusCode::FORBIDDEN,
                "AuthenticationFailed",
                "The signature in the query has expired.",
            ),
            Denied::Permission => Self::PERMISSION,
        }
    }
}

impl From<Unwritten> for Refusal {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Exists => Self::EXISTS,
            Unwritten::Condition => {
                refusal(StatusCode::PRECONDITION_FAILED, "ConditionNotMet", "The blob has another etag.")
            }
            Unwritten::BlockList => refusal(
                StatusCode::BAD_REQUEST,
                "InvalidBlockList",
                "The list names a block that is not there.",
            ),
            Unwritten::BlockId => refusal(
                StatusCode::BAD_REQUEST,
                "InvalidBlobOrBlock",
                "The ids of all blocks of a blob must have one length.",
            ),
            Unwritten::TooManyBlocks => refusal(
                StatusCode::CONFLICT,
                "RequestEntityTooLargeBlockCountExceedsLimit",
                "Too many blocks wait for their list.",
            ),
            Unwritten::Name => refusal(
                StatusCode::CONFLICT,
                "InvalidResourceName",
                "This store keeps blobs as files: none can have a name that goes on from another's with a slash.",
            ),
            Unwritten::File(error) => error.into(),
        }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(_: std::io::Error) -> Self {
        Self::INTERNAL
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message, about } = self;
        let about = about.map(|name| format!(" ({name})")).unwrap_or_default();
        // None of these texts has a character that XML gives a meaning.
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}{about}</Message></Error>"
        );
        (status, [("x-ms-error-code", code), ("content-type", "application/xml")], body).into_response()
    }
}
