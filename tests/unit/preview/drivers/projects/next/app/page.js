import Words from './words';

export default function Page() {
  return (
    <main>
      <h1>First page.</h1>
      <Words />
    </main>
  );
}
