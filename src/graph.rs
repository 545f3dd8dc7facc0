//! The nodes and what they read, as a graph. Answers questions about order and reach; does no input or output and knows
//! no keys, records or workers.

use crate::pipeline::{Endpoint, NodeId, Pipeline};
use petgraph::Direction;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::{Dfs, EdgeFiltered, EdgeRef as _, Reversed};

/// Which node reads which. Without cycles: `resolve` has refused those.
#[derive(Debug)]
pub struct Graph {
    edges: DiGraph<NodeId, Link>,
}

/// How a node reads another: always, or on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// It cannot run without the other.
    Always,
    /// It reads the other through on-demand inputs only, when it asks.
    OnDemand,
}

impl Graph {
    /// Links the nodes of a pipeline.
    pub fn link(pipeline: &Pipeline) -> Self {
        let mut edges = DiGraph::with_capacity(pipeline.nodes.len(), pipeline.nodes.len() * 2);
        for node in &pipeline.nodes {
            edges.add_node(node.id);
        }
        // Per node, its newest edge: nodes that many read are not searched for the edge to the present one.
        let mut newest: Vec<Option<EdgeIndex>> = vec![None; pipeline.nodes.len()];
        for node in &pipeline.nodes {
            for (name, read) in &node.inputs {
                let link = if pipeline.on_demand(node.id, name) { Link::OnDemand } else { Link::Always };
                for edge in read {
                    let Endpoint::Node { node: from, .. } = &edge.from else { continue };
                    let (from, to) = (place(*from), place(node.id));
                    let known = newest[from.index()].filter(|edge| edges.edge_endpoints(*edge) == Some((from, to)));
                    match known {
                        Some(known) if link == Link::Always => edges[known] = link,
                        Some(_) => {}
                        None => newest[from.index()] = Some(edges.add_edge(from, to, link)),
                    }
                }
            }
        }
        Graph { edges }
    }

    /// Every node, each after all that it reads.
    pub fn order(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.edges.node_weights().copied()
    }

    /// The nodes that this one reads, each once.
    pub fn reads(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.edges.neighbors_directed(place(node), Direction::Incoming).map(|index| self.edges[index])
    }

    /// The nodes that this one reads, each once, and whether only when it asks for them.
    pub fn links(&self, node: NodeId) -> impl Iterator<Item = (NodeId, bool)> + '_ {
        let edges = self.edges.edges_directed(place(node), Direction::Incoming);
        edges.map(|edge| (self.edges[edge.source()], *edge.weight() == Link::OnDemand))
    }

    /// Whether a node reads another one only when it asks for it.
    pub fn on_demand(&self, node: NodeId, read: NodeId) -> bool {
        self.links(node).any(|link| link == (read, true))
    }

    /// The nodes that read this one, each once.
    pub fn readers(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.edges.neighbors_directed(place(node), Direction::Outgoing).map(|index| self.edges[index])
    }

    /// The nodes that nothing reads.
    pub fn ends(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.edges.externals(Direction::Outgoing).map(|index| self.edges[index])
    }

    /// Per node, whether it is one of these or may be needed by one of these.
    pub fn reached_by(&self, targets: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        self.walk(targets, |_| true)
    }

    /// Per node, whether it is one of these or needed by one of these before any node asks for more.
    pub fn needed_by(&self, targets: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        self.walk(targets, |link| link == Link::Always)
    }

    /// Per node, whether it is one of these or reads one of these, directly or not, on demand or always.
    pub fn read_by(&self, starts: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        let mut reached = vec![false; self.edges.node_count()];
        let mut walk = Dfs::empty(&self.edges);
        for start in starts {
            walk.move_to(place(start));
            while let Some(index) = walk.next(&self.edges) {
                reached[index.index()] = true;
            }
        }
        reached
    }

    fn walk(&self, targets: impl IntoIterator<Item = NodeId>, follow: impl Fn(Link) -> bool) -> Vec<bool> {
        let mut needed = vec![false; self.edges.node_count()];
        let followed = EdgeFiltered::from_fn(&self.edges, |edge| follow(*edge.weight()));
        let reversed = Reversed(&followed);
        let mut walk = Dfs::empty(reversed);
        for target in targets {
            walk.move_to(place(target));
            while let Some(index) = walk.next(reversed) {
                needed[index.index()] = true;
            }
        }
        needed
    }

    /// Per node, the cost of the longest path from it to an end, itself included: what the scheduler runs first.
    pub fn longest_path(&self, cost: impl Fn(NodeId) -> f64) -> Vec<f64> {
        let mut longest = vec![0.0; self.edges.node_count()];
        // Nodes stand in topological order, so that readers are done before what they read.
        for index in (0..self.edges.node_count()).rev() {
            let node = NodeId(index as u32);
            let behind = self.readers(node).map(|reader| longest[reader.index()]).fold(0.0, f64::max);
            longest[index] = cost(node) + behind;
        }
        longest
    }
}

fn place(node: NodeId) -> NodeIndex {
    NodeIndex::new(node.index())
}
