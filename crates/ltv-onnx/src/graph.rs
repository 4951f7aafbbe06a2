//! A graph under construction: values by number, constants, operators one after the other.

use crate::proto::{
    AttributeProto, DimensionProto, Element, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use std::{collections::BTreeMap, ops::Range};

/// A tensor of the graph: an input, a constant, or what an operator made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value(usize);

/// The name of the first dimension of every input and output.
const ROWS: &str = "rows";

/// The domain of the operators for features.
pub(crate) const FEATURES: &str = "ai.onnx.ml";

/// Constants up to this size are kept once, however often they are asked for.
const SMALL: usize = 256;

/// A constant: type, shape and bytes.
type Constant = (Element, Vec<i64>, Vec<u8>);

/// Collects operators in the order in which they can run.
#[derive(Default)]
pub(crate) struct Graph {
    names: Vec<String>,
    proto: GraphProto,
    small: BTreeMap<Constant, Value>,
}

impl Graph {
    /// The finished graph.
    pub(crate) fn finish(self, name: &str) -> GraphProto {
        GraphProto {
            name: name.to_owned(),
            ..self.proto
        }
    }

    fn named(&mut self, name: String) -> Value {
        self.names.push(name);
        Value(self.names.len() - 1)
    }

    /// An input of one column, `[rows, 1]`.
    pub(crate) fn input(&mut self, name: &str, element: Element, about: &str) -> Value {
        self.proto.input.push(column(name, element, about));
        self.named(name.to_owned())
    }

    /// Gives out a column, `[rows, 1]`, under a name.
    pub(crate) fn output(&mut self, name: &str, element: Element, about: &str, value: Value) {
        self.proto.output.push(column(name, element, about));
        let out = self.named(name.to_owned());
        self.push("Identity", "", &[value], &[out], vec![]);
    }

    fn push(
        &mut self,
        kind: &str,
        domain: &str,
        inputs: &[Value],
        outputs: &[Value],
        attribute: Vec<AttributeProto>,
    ) {
        let names = |values: &[Value]| values.iter().map(|v| self.names[v.0].clone()).collect();
        let node = NodeProto {
            input: names(inputs),
            output: names(outputs),
            name: format!("/{kind}_{}", self.proto.node.len()),
            op_type: kind.to_owned(),
            attribute,
            domain: domain.to_owned(),
        };
        self.proto.node.push(node);
    }

    /// What an operator makes of its inputs. Names of values that are made start with a slash, which no
    /// output of ours does.
    pub(crate) fn op(&mut self, kind: &str, inputs: &[Value]) -> Value {
        self.op_with(kind, inputs, vec![])
    }

    /// The same, with attributes.
    pub(crate) fn op_with(
        &mut self,
        kind: &str,
        inputs: &[Value],
        attributes: Vec<AttributeProto>,
    ) -> Value {
        let out = self.named(format!("/{kind}_{}:0", self.proto.node.len()));
        let domain = if kind == "LabelEncoder" { FEATURES } else { "" };
        self.push(kind, domain, inputs, &[out], attributes);
        out
    }

    fn constant(&mut self, element: Element, dims: &[usize], bytes: Vec<u8>) -> Value {
        let dims: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
        let key = (element, dims.clone(), bytes.clone());
        if let Some(value) = self.small.get(&key) {
            return *value;
        }
        let name = format!("/constant_{}", self.proto.initializer.len());
        self.proto.initializer.push(TensorProto {
            dims,
            data_type: element as i32,
            name: name.clone(),
            raw_data: bytes,
        });
        let value = self.named(name);
        if key.2.len() <= SMALL {
            self.small.insert(key, value);
        }
        value
    }

    /// A constant in single precision, row-major.
    pub(crate) fn floats(&mut self, dims: &[usize], values: &[f32]) -> Value {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(Element::Float, dims, bytes)
    }

    /// A constant in double precision, row-major.
    pub(crate) fn doubles(&mut self, dims: &[usize], values: &[f64]) -> Value {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(Element::Double, dims, bytes)
    }

    /// One number in double precision.
    pub(crate) fn double(&mut self, value: f64) -> Value {
        self.doubles(&[], &[value])
    }

    /// A constant of integers, row-major.
    pub(crate) fn ints(&mut self, dims: &[usize], values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(Element::Int64, dims, bytes)
    }

    /// One integer.
    pub(crate) fn int(&mut self, value: i64) -> Value {
        self.ints(&[], &[value])
    }

    /// The columns `range` of a matrix.
    pub(crate) fn slice(&mut self, x: Value, range: Range<usize>) -> Value {
        let [from, to] = [range.start, range.end].map(|i| self.ints(&[1], &[i as i64]));
        let axis = self.ints(&[1], &[1]);
        self.op("Slice", &[x, from, to, axis])
    }

    /// Entries of `x` along an axis, where `indices` says which.
    pub(crate) fn gather(&mut self, x: Value, indices: Value, axis: i64) -> Value {
        self.op_with(
            "Gather",
            &[x, indices],
            vec![AttributeProto::int("axis", axis)],
        )
    }

    /// For every row, its entries of `x` in the columns that `indices` says.
    pub(crate) fn gather_elements(&mut self, x: Value, indices: Value) -> Value {
        let axis = vec![AttributeProto::int("axis", 1)];
        self.op_with("GatherElements", &[x, indices], axis)
    }

    /// Matrices side by side; a single one is returned as it is.
    pub(crate) fn concat(&mut self, parts: &[Value]) -> Value {
        match parts {
            [one] => *one,
            _ => self.op_with("Concat", parts, vec![AttributeProto::int("axis", 1)]),
        }
    }

    /// The same numbers in another shape, as many rows as before: `dims` are those after the first.
    pub(crate) fn reshape(&mut self, x: Value, dims: &[usize]) -> Value {
        // Zero stands for what the dimension was.
        let dims: Vec<i64> = [0]
            .into_iter()
            .chain(dims.iter().map(|&d| d as i64))
            .collect();
        let shape = self.ints(&[dims.len()], &dims);
        self.op("Reshape", &[x, shape])
    }

    /// The same with axes in another order.
    pub(crate) fn transpose(&mut self, x: Value, order: &[i64]) -> Value {
        let order = vec![AttributeProto::ints("perm", order.to_vec())];
        self.op_with("Transpose", &[x], order)
    }

    /// The same with one more axis of length 1, the last.
    pub(crate) fn deepen(&mut self, x: Value) -> Value {
        let axis = self.ints(&[1], &[-1]);
        self.op("Unsqueeze", &[x, axis])
    }

    /// The same numbers as another type.
    pub(crate) fn cast(&mut self, x: Value, to: Element) -> Value {
        self.op_with("Cast", &[x], vec![AttributeProto::int("to", to as i64)])
    }

    /// Sums over an axis, which is kept with length 1 or is gone.
    pub(crate) fn sum(&mut self, x: Value, axis: i64, keep: bool) -> Value {
        let axis = self.ints(&[1], &[axis]);
        let keep = vec![AttributeProto::int("keepdims", i64::from(keep))];
        self.op_with("ReduceSum", &[x, axis], keep)
    }

    /// `ReduceMin` or `ReduceMax` over an axis, which is gone.
    pub(crate) fn extreme(&mut self, kind: &str, x: Value, axis: i64) -> Value {
        let attributes = vec![
            AttributeProto::ints("axes", vec![axis]),
            AttributeProto::int("keepdims", 0),
        ];
        self.op_with(kind, &[x], attributes)
    }

    /// For every row the first column of the largest number, `[rows, 1]`, or along the last axis.
    pub(crate) fn first_largest(&mut self, x: Value, keep: bool) -> Value {
        let attributes = vec![
            AttributeProto::int("axis", -1),
            AttributeProto::int("keepdims", i64::from(keep)),
        ];
        self.op_with("ArgMax", &[x], attributes)
    }
}

fn column(name: &str, element: Element, about: &str) -> ValueInfoProto {
    let rows = DimensionProto {
        dim_param: Some(ROWS.to_owned()),
        ..DimensionProto::default()
    };
    let one = DimensionProto {
        dim_value: Some(1),
        ..DimensionProto::default()
    };
    let tensor = TensorTypeProto {
        elem_type: element as i32,
        shape: Some(TensorShapeProto {
            dim: vec![rows, one],
        }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        kind: Some(TypeProto {
            tensor_type: Some(tensor),
        }),
        doc_string: about.to_owned(),
    }
}
