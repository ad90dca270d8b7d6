//! The lower bound of any protection by signatures: a parsed key and one signature check. Accepts expired tokens, and
//! tokens for other audiences or from other issuers.

use std::net::SocketAddr;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder, get, http::header, web::Data};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256},
};
use base64::{Engine as _, engine::general_purpose::NO_PAD};

use crate::tokens::Tokens;

struct Signatures {
    key: ParsedPublicKey,
    base64url: Base64,
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Base64 = base64::engine::Simd;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Base64 = base64::engine::GeneralPurpose;

fn base64url() -> Base64 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    return Base64::url_safe(NO_PAD);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return Base64::new(&base64::alphabet::URL_SAFE, NO_PAD);
}

pub(crate) fn start(tokens: &Tokens) -> SocketAddr {
    let signatures = Data::new(Signatures {
        key: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &tokens.public_key).unwrap(),
        base64url: base64url(),
    });
    crate::serve(move |listener| async move {
        HttpServer::new(move || App::new().app_data(signatures.clone()).service(protected))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run()
    })
}

#[get("/protected")]
async fn protected(request: HttpRequest, signatures: Data<Signatures>) -> impl Responder {
    if is_signed(&request, &signatures).is_none() {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().insert_header(("x-subject", 5)).body("ok")
}

fn is_signed(request: &HttpRequest, signatures: &Signatures) -> Option<()> {
    let credential = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let token = credential.strip_prefix(b"Bearer ")?;
    let dot = token.iter().rposition(|byte| *byte == b'.')?;
    let (signed, signature) = (&token[..dot], &token[dot + 1..]);
    let mut buffer = [0; 512];
    let length = signatures.base64url.decode_slice(signature, &mut buffer).ok()?;
    // As in iam-core: in one call, aws-lc would copy its hash context.
    signatures
        .key
        .verify_digest_sig(&digest(&SHA256, signed), &buffer[..length])
        .ok()
}
