use iam_actix::public;

struct Handler;

#[public]
impl Handler {
    fn new() -> Self {
        Self
    }
}

fn main() {
    let _ = Handler::new();
}
