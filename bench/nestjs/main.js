// The tutorial's NestJS app: the same modules, strategy and guard, in plain JavaScript so that nothing has to be built.
// It runs in as many processes as authservice has workers.
import 'reflect-metadata';
import cluster from 'node:cluster';

import { Body, Controller, Get, Inject, Injectable, Module, Post, UnauthorizedException, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { MongooseModule, getModelToken } from '@nestjs/mongoose';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import bcrypt from 'bcrypt';
import mongoose from 'mongoose';
import { ExtractJwt, Strategy } from 'passport-jwt';

const { BENCH_MONGO_URI, FLASK_JWT_SECRET_KEY: SECRET, PORT, WEB_CONCURRENCY } = process.env;

const UserSchema = new mongoose.Schema({
  email: { type: String, unique: true, required: true },
  password: { type: String, required: true },
});
UserSchema.pre('save', async function () {
  if (this.isModified('password')) this.password = await bcrypt.hash(this.password, 10);
});
UserSchema.methods.checkPassword = function (attempt) {
  return bcrypt.compare(attempt, this.password);
};

/** What TypeScript's decorators would do: who is handed to the constructor, and how each method is reached. */
function describe(type, { decorators = [], inject = [], methods = {} }) {
  inject.forEach((token, index) => Inject(token)(type, undefined, index));
  for (const [name, ofMethod] of Object.entries(methods)) {
    for (const decorate of ofMethod) {
      decorate(type.prototype, name, Object.getOwnPropertyDescriptor(type.prototype, name));
    }
  }
  decorators.forEach((decorate) => decorate(type));
}
const body = (prototype, name) => Body()(prototype, name, 0);

class UsersService {
  constructor(userModel) {
    this.userModel = userModel;
  }
  create(user) {
    return new this.userModel(user).save();
  }
  findOneByEmail(email) {
    return this.userModel.findOne({ email });
  }
}
describe(UsersService, { decorators: [Injectable()], inject: [getModelToken('User')] });

class UsersController {
  constructor(usersService) {
    this.usersService = usersService;
  }
  create(user) {
    return this.usersService.create(user);
  }
  testAuthRoute() {
    return { message: 'You did it!' };
  }
}
describe(UsersController, {
  decorators: [Controller('users')],
  inject: [UsersService],
  methods: { create: [Post(), body], testAuthRoute: [Get('test'), UseGuards(AuthGuard('jwt'))] },
});

const passport = () => PassportModule.register({ defaultStrategy: 'jwt', session: false });

class UsersModule {}
describe(UsersModule, {
  decorators: [
    Module({
      imports: [MongooseModule.forFeature([{ name: 'User', schema: UserSchema }]), passport()],
      exports: [UsersService],
      controllers: [UsersController],
      providers: [UsersService],
    }),
  ],
});

class AuthService {
  constructor(usersService, jwtService) {
    this.usersService = usersService;
    this.jwtService = jwtService;
  }
  async validateUserByPassword({ email, password }) {
    const user = await this.usersService.findOneByEmail(email);
    if (!(await user?.checkPassword(password))) throw new UnauthorizedException();
    return this.createJwtPayload(user);
  }
  async validateUserByJwt({ email }) {
    const user = await this.usersService.findOneByEmail(email);
    if (!user) throw new UnauthorizedException();
    return this.createJwtPayload(user);
  }
  createJwtPayload({ email }) {
    return { expiresIn: 3600, token: this.jwtService.sign({ email }) };
  }
}
describe(AuthService, { decorators: [Injectable()], inject: [UsersService, JwtService] });

class AuthController {
  constructor(authService) {
    this.authService = authService;
  }
  login(user) {
    return this.authService.validateUserByPassword(user);
  }
}
describe(AuthController, { decorators: [Controller('auth')], inject: [AuthService], methods: { login: [Post(), body] } });

class JwtStrategy extends PassportStrategy(Strategy) {
  constructor(authService) {
    super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey: SECRET });
    this.authService = authService;
  }
  validate(payload) {
    return this.authService.validateUserByJwt(payload);
  }
}
describe(JwtStrategy, { decorators: [Injectable()], inject: [AuthService] });

class AuthModule {}
describe(AuthModule, {
  decorators: [
    Module({
      imports: [passport(), JwtModule.register({ secret: SECRET, signOptions: { expiresIn: 3600 } }), UsersModule],
      controllers: [AuthController],
      providers: [AuthService, JwtStrategy],
    }),
  ],
});

class AppModule {}
describe(AppModule, {
  decorators: [Module({ imports: [MongooseModule.forRoot(BENCH_MONGO_URI, { autoIndex: false }), AuthModule, UsersModule] })],
});

if (cluster.isPrimary) {
  for (let number = 0; number < Number(WEB_CONCURRENCY); number += 1) cluster.fork();
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill();
    process.exit(0);
  });
} else {
  const app = await NestFactory.create(AppModule, { logger: ['error'] });
  app.enableCors();
  await app.listen(Number(PORT), '127.0.0.1');
}
