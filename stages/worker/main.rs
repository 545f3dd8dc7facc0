fn main() {
    println!("{:?}", tch::Tensor::from(1.5f32));
}
