class user implements Namespace {
 related: { a: nope[] }
}