// Orders come in and answers go out as lines of JSON over TCP on the sandbox's loopback. One order at a time. What says that
// an order is coming ({"coming": true}) is taken at once and not answered.
import net from 'node:net';

const LARGEST_LINE = 64 * 1024 * 1024;

/**
 * Listens on `port` and calls `handle(order)` for one order after another; what it returns is the answer. `coming` is called
 * when files are about to be written for the next order.
 * `tell` sends something unasked to whoever is connected. What was told as `first` is repeated to everybody who connects.
 */
export function listen(port, handle, coming) {
  const connections = new Set();
  let first = null;
  let turn = Promise.resolve();
  const send = (connection, message) => {
    if (!connection.destroyed) connection.write(JSON.stringify(message) + '\n');
  };
  const failed = (connection, n, error) => send(connection, { n, ok: false, errors: [{ message: String(error?.stack ?? error) }] });
  const answer = async (connection, order) => {
    try {
      send(connection, { n: order.n, ...(await handle(order)) });
    } catch (error) {
      failed(connection, order.n ?? null, error);
    }
  };
  const take = (connection, line) => {
    let order;
    try {
      order = JSON.parse(line) ?? {};
    } catch (error) {
      return failed(connection, null, error);
    }
    if (order.coming) coming();
    else turn = turn.then(() => answer(connection, order));
  };
  const server = net.createServer({ noDelay: true }, (connection) => {
    connections.add(connection);
    connection.on('error', () => {});
    connection.on('close', () => connections.delete(connection));
    let rest = '';
    connection.setEncoding('utf8');
    connection.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      if (rest.length > LARGEST_LINE) return connection.destroy();
      for (const line of lines) take(connection, line);
    });
    if (first) send(connection, first);
  });
  const ready = new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const tell = (message) => {
    if (message.event === 'first') first = message;
    for (const connection of connections) send(connection, message);
  };
  return { ready, tell };
}
