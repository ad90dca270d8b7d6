//! Step 7: only Keto decides about permissions, and changes take effect at once.

use std::io;

use iam_actix::IamConfig;
use scenario::{
    Promise,
    client::{Request, Response},
    relay::Relay,
};
use serde_json::json;
use uuid::Uuid;

use crate::{step::login::LoggedIn, walk::Walk, world::World};

/// Reads an order and a ledger before a tuple is written, while it exists, after it is deleted, and while Keto is down.
///
/// # Errors
///
/// When Keto's write port gives no answer.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(7, "Permissions");
    let world = walk.world;
    let order = create_order(walk, who).await?;
    let ledger = format!("sku-{}", Uuid::new_v4().simple());
    let cases = [
        (
            &world.orders_api,
            format!("/orders/{order}"),
            Tuple::new("orders", format!("orders:{order}"), "viewers", who),
        ),
        (
            &world.inventory_api,
            format!("/inventory/{ledger}/ledger"),
            Tuple::new("listings", format!("inventory:{ledger}"), "view", who),
        ),
    ];

    for (service, path, tuple) in cases {
        let read = || Request::get(path.clone()).bearer(&who.person.session_token);
        let gateway = world.addresses.gateway;
        let denied = Promise::new(403, "authz.permission.deny", "no tuple: denied");
        walk.ask_through(gateway, service, read(), denied).await;

        let written = tuple.write(world).await?;
        walk.observe(
            "PUT /admin/relation-tuples",
            written.status(),
            "the tuple is written",
            written.status() == 201,
        );
        walk.ask_through(
            gateway,
            service,
            read(),
            Promise::new(200, "auth.success", "the tuple stands: allowed"),
        )
        .await;

        let removed = tuple.remove(world).await?;
        walk.observe(
            "DELETE /admin/relation-tuples",
            removed.status(),
            "the tuple is removed",
            removed.status() == 204,
        );
        let denied = Promise::new(403, "authz.permission.deny", "the tuple is gone: denied again");
        walk.ask_through(gateway, service, read(), denied).await;
    }
    keto_down(walk, who, &order).await
}

async fn create_order(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<String> {
    let world = walk.world;
    let body = json!({ "sku": "sku-1", "quantity": 1 });
    let request = Request::post("/orders", &body).bearer(&who.person.session_token);
    let promise = Promise::new(201, "auth.success", "an order is placed");
    let placed = walk
        .ask_through(world.addresses.gateway, &world.orders_api, request, promise)
        .await;
    let placed = placed.ok_or_else(|| io::Error::other("no order was placed"))?;
    scenario::text(&placed.json(), "/id")
}

async fn keto_down(walk: &mut Walk<'_>, who: &LoggedIn, order: &str) -> io::Result<()> {
    let world = walk.world;
    let mut relay = Relay::start(([127, 0, 0, 1], 0).into(), world.addresses.keto_read).await?;
    let read_url = format!("http://{}", relay.address());
    let change = |iam: &mut IamConfig| {
        for keto in iam.tenants.values_mut().filter_map(|tenant| tenant.keto.as_mut()) {
            keto.read_url.clone_from(&read_url);
        }
    };
    let service = world
        .orders_api(change, (world.ports)())
        .await
        .map_err(io::Error::other)?;
    let token = world.capture(&who.person).await?;
    let read = || Request::get(format!("/orders/{order}")).bearer(&token);

    let denied = Promise::new(403, "authz.permission.deny", "Keto is up: it says no");
    walk.ask(&service, read(), denied).await;
    relay.take_down().await;
    let unavailable = Promise::new(
        503,
        "authz.upstream_unavailable",
        "Keto is down: 503 with Retry-After",
    );
    walk.ask(&service, read(), unavailable).await;
    relay.put_up().await?;
    let denied = Promise::new(403, "authz.permission.deny", "Keto is back: it says no again");
    walk.ask(&service, read(), denied).await;
    service.stop().await;
    Ok(())
}

/// A relation tuple about a person, written directly to Keto.
struct Tuple {
    namespace: &'static str,
    object: String,
    relation: &'static str,
    subject: String,
}

impl Tuple {
    fn new(namespace: &'static str, object: String, relation: &'static str, who: &LoggedIn) -> Self {
        Self {
            namespace,
            object,
            relation,
            subject: format!("user:{}", who.person.id),
        }
    }

    async fn write(&self, world: &World) -> io::Result<Response> {
        let body = json!({
            "namespace": self.namespace, "object": self.object, "relation": self.relation, "subject_id": self.subject,
        });
        Request::new("PUT", "/admin/relation-tuples")
            .json(&body)
            .send(world.addresses.keto_write)
            .await
    }

    async fn remove(&self, world: &World) -> io::Result<Response> {
        let Self {
            namespace,
            object,
            relation,
            subject,
        } = self;
        let query = format!("namespace={namespace}&object={object}&relation={relation}&subject_id={subject}");
        Request::new("DELETE", format!("/admin/relation-tuples?{query}"))
            .send(world.addresses.keto_write)
            .await
    }
}
