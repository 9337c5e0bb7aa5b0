import { smoke } from './smoke';
import { startWebKit } from './webdriver';

jest.setTimeout(90_000);

describe('WebKit', () => smoke(startWebKit));
