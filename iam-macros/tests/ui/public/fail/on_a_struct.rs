use iam_actix::public;

#[public]
struct Handler;

fn main() {
    let _ = Handler;
}
