import { startFirefox } from './firefox';
import { smoke } from './smoke';

jest.setTimeout(90_000);

describe('Firefox', () => smoke(startFirefox));
