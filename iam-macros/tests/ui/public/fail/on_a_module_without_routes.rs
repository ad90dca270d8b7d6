use actix_web::scope;
use iam_actix::public;

#[public]
#[scope("/admin")]
pub mod admin {
    pub fn nothing() {}
}

fn main() {}
