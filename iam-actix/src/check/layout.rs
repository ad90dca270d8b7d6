//! Which wrapper is inside of which, as far as the samples and the build order tell.

use std::rc::Rc;

use iam_core::requirement::RoutePolicy;

use super::seen::Built;

/// The wrappers of an application and the ways of its samples.
pub(super) struct Layout {
    /// In the order of construction. Actix Web builds a service before the middleware around it, so the wrappers inside of a wrapper
    /// are those directly before it.
    built: Vec<Built>,
    rows: Vec<Row>,
    /// The names of resources that have no row, because no sample reached them.
    unreached: Vec<String>,
}

/// One row of the map.
pub(super) struct Row {
    /// The positions of the wrappers on the way, the innermost first.
    way: Vec<usize>,
    /// The method and the pattern.
    pub(super) route: String,
    /// The name of the resource, which is the name of the handler where an attribute made it.
    name: Option<String>,
    /// Whether the samples of this row tell what is served.
    is_sampled: bool,
}

/// Where a policy is that no sample reached.
pub(super) enum Location {
    /// Inside of the closed scope with this wrapper.
    Enclosed(usize),
    /// Behind the routes with these rows. `true` if that is certain.
    Hidden(Vec<usize>, bool),
}

impl Layout {
    pub(super) const fn new(built: Vec<Built>) -> Self {
        Self {
            built,
            rows: Vec::new(),
            unreached: Vec::new(),
        }
    }

    /// Adds a resource that no sample reached.
    pub(super) fn push_unreached(&mut self, name: Option<&str>) {
        self.unreached.extend(name.map(str::to_owned));
    }

    /// Adds the next row of the map, with the policies on its way, the innermost first.
    pub(super) fn push<'p>(
        &mut self,
        policies: impl Iterator<Item = &'p RoutePolicy>,
        route: String,
        name: Option<&str>,
        is_sampled: bool,
    ) {
        let way = policies.filter_map(|policy| self.position(policy)).collect();
        self.rows.push(Row {
            way,
            route,
            name: name.map(str::to_owned),
            is_sampled,
        });
    }

    pub(super) fn row(&self, row: usize) -> Option<&Row> {
        self.rows.get(row)
    }

    pub(super) fn policy(&self, position: usize) -> Option<&RoutePolicy> {
        self.built.get(position).map(|built| &*built.policy)
    }

    /// Returns the wrappers that no sample reached.
    pub(super) fn unsampled(&self) -> impl Iterator<Item = (usize, &RoutePolicy)> {
        self.built
            .iter()
            .enumerate()
            .filter(|(position, _)| !self.is_sampled(*position))
            .map(|(position, built)| (position, &*built.policy))
    }

    /// Tells whether a closed scope ended the way of a row.
    pub(super) fn closed_scope_of(&self, row: &Row) -> Option<usize> {
        row.way
            .first()
            .copied()
            .filter(|innermost| self.is_closed_scope(*innermost))
    }

    /// Locates a wrapper that no sample reached.
    pub(super) fn locate(&self, position: usize) -> Option<Location> {
        let policy = self.policy(position)?;

        // The routes of that handler whose way does not contain the policy.
        let named: Vec<usize> = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.name.as_deref() == Some(policy.name()) && !self.has_declared(row, policy))
            .map(|(row, _)| row)
            .collect();
        if !named.is_empty() {
            return Some(self.behind(named, true));
        }
        if self.unreached.iter().any(|name| name == policy.name()) {
            return Some(Location::Hidden(Vec::new(), false));
        }
        let possible = (0..self.rows.len())
            .filter(|row| self.is_possible(position, *row))
            .collect();
        Some(self.behind(possible, false))
    }

    fn behind(&self, rows: Vec<usize>, by_name: bool) -> Location {
        let closed = |row: &usize| self.rows.get(*row).and_then(|row| self.closed_scope_of(row));
        // The nearest wrapper around it is built first.
        let nearest = rows
            .iter()
            .filter_map(|row| self.rows.get(*row)?.way.first())
            .min()
            .copied();

        match nearest {
            Some(scope)
                if self.is_closed_scope(scope)
                    && (!by_name || rows.iter().all(|row| closed(row).is_some())) =>
            {
                Location::Enclosed(scope)
            }
            Some(_) | None => {
                let open: Vec<usize> = rows.into_iter().filter(|row| closed(row).is_none()).collect();
                let is_sampled = |row: &usize| self.rows.get(*row).is_some_and(|row| row.is_sampled);
                let is_certain = by_name && open.iter().all(is_sampled);
                Location::Hidden(open, is_certain)
            }
        }
    }

    /// Tells whether a wrapper may be inside of the innermost wrapper of a row. It is not if a wrapper was built between the two
    /// that is known to be beside them.
    fn is_possible(&self, position: usize, row: usize) -> bool {
        let Some(around) = self.rows.get(row).and_then(|row| row.way.first().copied()) else {
            // Nothing is known of what is around.
            return true;
        };

        position < around
            && (position.saturating_add(1)..around)
                .filter(|between| self.is_sampled(*between))
                .all(|between| self.is_inside(between, around))
    }

    fn is_inside(&self, inner: usize, outer: usize) -> bool {
        self.rows.iter().any(|row| {
            let find = |wanted: usize| row.way.iter().position(|position| *position == wanted);
            matches!((find(inner), find(outer)), (Some(inner), Some(outer)) if inner < outer)
        })
    }

    fn is_sampled(&self, position: usize) -> bool {
        self.rows.iter().any(|row| row.way.contains(&position))
    }

    fn is_closed_scope(&self, position: usize) -> bool {
        self.built
            .get(position)
            .is_some_and(|built| built.is_closed_scope)
    }

    fn has_declared(&self, row: &Row, policy: &RoutePolicy) -> bool {
        row.way
            .iter()
            .filter_map(|position| self.policy(*position))
            .any(|one| one.declared_at() == policy.declared_at() && one.name() == policy.name())
    }

    fn position(&self, policy: &RoutePolicy) -> Option<usize> {
        self.built
            .iter()
            .position(|built| std::ptr::eq(Rc::as_ptr(&built.policy), policy))
    }
}
