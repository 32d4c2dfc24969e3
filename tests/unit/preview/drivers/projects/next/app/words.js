export default function Words() {
  return <p>First words.</p>;
}
