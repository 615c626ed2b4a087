// Ways of writing a line to standard output.
'use strict';

const pino = require('pino');

const kinds = {
  console: () => console.log,
  pino: () => lines(pino.destination({ dest: 1, sync: true })),
  'pino-async': () => lines(pino.destination({ dest: 1, sync: false })),
};

// Gives pino a text as the message, and an object as fields.
function lines(destination) {
  const logger = pino({ base: null, timestamp: false }, destination);
  return (line) => {
    if (!line.startsWith('{')) return logger.info(line);
    const { level, message, ...fields } = JSON.parse(line);
    return logger.info(fields, message);
  };
}

module.exports = (kind = 'console') => kinds[kind]();
